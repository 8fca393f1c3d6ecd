"""Upstreams behind TLS and on Unix sockets: who is believed, who is not, and that nothing else is different."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ..errors import ConfigError
from ..reading import parse
from ..upstream import tls_context
from .serving import routes_file, serving
from .wire import OK, Answer, Talk, Upstream, always, caller, until, upstream

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class Authority:
    """Signs certificates; everything is a PEM file in one folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.file = folder / f"{name}.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._write(self.file, self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0)))

    def certificate(self, name: str, alternative: x509.GeneralName) -> Path:
        """A file with a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        file = self.folder / f"{name}.pem"
        self._write(file, self._signed(subject, key, x509.SubjectAlternativeName([alternative])), key)
        return file

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
        own, theirs = self._key.public_key(), key.public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(theirs), critical=False)
        if isinstance(extension, x509.BasicConstraints):
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        return builder.add_extension(extension, critical=True).sign(self._key, hashes.SHA256())

    def _write(self, file: Path, signed: x509.Certificate, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        text = signed.public_bytes(serialization.Encoding.PEM)
        if key is not None:
            text += key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        file.write_bytes(text)


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


def server(certificate: Path, *, clients_by: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients_by)
    context.load_cert_chain(certificate)
    if clients_by is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def answer(folder: Path, legacy: Upstream, tls: str) -> Answer:
    file = routes_file(folder, f'[upstreams.legacy]\nurl = "{legacy.url}"\ntls = {{ {tls} }}')
    async with serving(file) as router:
        return await router.ask(GET)


async def test_an_upstream_whose_authority_is_named_is_believed(tmp_path: Path, ours: Authority) -> None:
    context = server(ours.certificate("app", LOOPBACK))
    async with upstream(always(OK), tls=context) as legacy:
        got = await answer(tmp_path, legacy, f'ca = "{ours.file}"')

    assert (got.status, got.body) == (200, b"ok")


async def test_an_upstream_of_an_unknown_authority_is_sent_nothing(tmp_path: Path, ours: Authority) -> None:
    context = server(Authority(tmp_path, "others").certificate("app", LOOPBACK))
    async with upstream(always(OK), tls=context) as legacy:
        got = await answer(tmp_path, legacy, f'ca = "{ours.file}"')

        assert (got.status, legacy.asked) == (502, [])
        assert b"upstream_unreachable" in got.body


async def test_without_an_authority_of_its_own_the_systems_are_believed_and_a_stranger_is_not(
    tmp_path: Path, ours: Authority
) -> None:
    async with upstream(always(OK), tls=server(ours.certificate("app", LOOPBACK))) as legacy:
        assert (await answer(tmp_path, legacy, "")).status == 502
        assert (await answer(tmp_path, legacy, "verify = false")).status == 200


async def test_the_certificate_must_have_the_name_that_is_asked_for(tmp_path: Path, ours: Authority) -> None:
    context = server(ours.certificate("app", x509.DNSName("app.internal")))
    async with upstream(always(OK), tls=context) as legacy:
        assert (await answer(tmp_path, legacy, f'ca = "{ours.file}"')).status == 502
        assert (await answer(tmp_path, legacy, f'ca = "{ours.file}", server_name = "app.internal"')).status == 200


async def test_the_router_makes_itself_known_to_an_upstream_that_asks(tmp_path: Path, ours: Authority) -> None:
    context = server(ours.certificate("app", LOOPBACK), clients_by=ours.file)
    edge = ours.certificate("edge", x509.DNSName("edge.internal"))
    async with upstream(always(OK), tls=context) as legacy:
        assert (await answer(tmp_path, legacy, f'ca = "{ours.file}"')).status == 502
        assert (await answer(tmp_path, legacy, f'ca = "{ours.file}", certificate = "{edge}"')).status == 200


async def test_an_upstream_that_speaks_no_tls_where_it_should_is_unreachable(tmp_path: Path) -> None:
    async def plain(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with upstream(plain) as legacy:
        legacy.scheme = "https"

        assert (await answer(tmp_path, legacy, "verify = false")).status == 502


async def test_connections_are_kept_events_come_as_they_are_sent_and_large_bodies_whole(
    tmp_path: Path, ours: Authority
) -> None:
    large = b"x" * 3_000_000

    async def talk(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await until(lambda: heard)
        await talk.send(b"1\r\nb\r\n0\r\n\r\n")
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + large)
        await talk.ended()

    heard: list[bytes] = []
    async with upstream(talk, tls=server(ours.certificate("app", LOOPBACK))) as legacy:
        file = routes_file(tmp_path, f'[upstreams.legacy]\nurl = "{legacy.url}"\ntls = {{ ca = "{ours.file}" }}')
        async with serving(file) as router, caller(router.port) as me:
            await me.send(GET)
            await me.head()
            heard.append(await me.piece())
            rest = [await me.piece(), await me.piece()]
            second = await me.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n" + large)

        assert (heard, rest) == ([b"a"], [b"b", b""])
        assert second.body == legacy.asked[1].body == large
        assert legacy.connections == 1


async def test_a_websocket_is_joined_through_tls(tmp_path: Path, ours: Authority) -> None:
    async def echo(talk: Talk) -> None:
        await talk.head()
        await talk.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while data := await talk.reader.read(100):
            await talk.send(data)

    async with upstream(echo, tls=server(ours.certificate("app", LOOPBACK))) as legacy:
        file = routes_file(tmp_path, f'[upstreams.legacy]\nurl = "{legacy.url}"\ntls = {{ ca = "{ours.file}" }}')
        async with serving(file) as router, caller(router.port) as me:
            await me.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            assert (await me.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")

            await me.send(b"\x81\x00any bytes")

            assert await me.reader.readexactly(11) == b"\x81\x00any bytes"


async def test_an_upstream_on_a_unix_socket_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    async with upstream(always(OK), path=path) as legacy:
        async with serving(routes_file(tmp_path, f'upstreams = {{ legacy = "unix:{path}" }}')) as router:
            assert (await router.ask(GET)).body == b"ok"

        assert legacy.asked[0].values(b"host") == [b"h"]


async def test_a_unix_socket_that_nobody_listens_on_is_unreachable(tmp_path: Path) -> None:
    async with serving(routes_file(tmp_path, f'upstreams = {{ legacy = "unix:{tmp_path}/no.sock" }}')) as router:
        assert (await router.ask(GET)).status == 502


@pytest.mark.parametrize("fields", ['ca = "{0}/no.pem"', 'certificate = "{0}/no.pem"', 'ca = "{0}/routes.toml"'])
def test_a_file_that_cannot_be_used_is_said_before_anything_is_opened(tmp_path: Path, fields: str) -> None:
    routes_file(tmp_path, "not a certificate")
    text = f'[upstreams.legacy]\nurl = "https://h"\ntls = {{ {fields.format(tmp_path)} }}'

    with pytest.raises(ConfigError, match=r"the files of https://h cannot be used .*: name readable PEM files"):
        tls_context(parse(text).upstreams["legacy"])


async def test_a_change_that_names_an_unusable_file_leaves_everything_as_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with upstream(always(OK)) as legacy:
        file = routes_file(tmp_path, f'upstreams = {{ legacy = "{legacy.url}" }}')
        async with serving(file) as router:
            before = router.live

            file.write_text('[upstreams.legacy]\nurl = "https://h"\ntls = { ca = "/no.pem" }', "utf-8")

            await until(lambda: "The routes stay as they were" in caplog.text)
            assert router.live is before
            assert (await router.ask(GET)).status == 200


async def test_a_new_authority_in_the_same_file_is_believed_when_the_router_is_asked_to_read_again(
    tmp_path: Path, ours: Authority
) -> None:
    others = Authority(tmp_path, "others")
    async with upstream(always(OK), tls=server(others.certificate("app", LOOPBACK))) as legacy:
        file = routes_file(tmp_path, f'[upstreams.legacy]\nurl = "{legacy.url}"\ntls = {{ ca = "{ours.file}" }}')
        async with serving(file) as router:
            before = router.live
            assert (await router.ask(GET)).status == 502

            ours.file.write_bytes(others.file.read_bytes())
            router.app.reload.ask()

            await until(lambda: router.live is not before)
            assert (await router.ask(GET)).status == 200
