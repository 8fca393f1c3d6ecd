"""Shows an article's plain text: paragraphs, and lists where every line is an item. Nothing in it is HTML."""

import re

from django import template
from django.template.defaultfilters import linebreaks_filter
from django.utils.html import format_html, format_html_join

register = template.Library()

PARAGRAPH_BORDER = re.compile(r"\n[ \t]*\n")
BULLET = re.compile(r"[-*•]\s+")
NUMBER = re.compile(r"\d{1,3}[.)]\s+")


@register.filter
def prose(text):
    return format_html_join("\n", "{}", ((_block(block),) for block in _blocks(text)))


@register.filter
def first_paragraph(text):
    return next(iter(_blocks(text)), "")


def _blocks(text):
    return [block.strip() for block in PARAGRAPH_BORDER.split(text.replace("\r\n", "\n")) if block.strip()]


def _block(block):
    lines = block.splitlines()
    if all(BULLET.match(line) for line in lines):
        return format_html("<ul>{}</ul>", _items(lines, BULLET))
    if all(NUMBER.match(line) for line in lines):
        return format_html("<ol>{}</ol>", _items(lines, NUMBER))
    return linebreaks_filter(block)


def _items(lines, marker):
    return format_html_join("", "<li>{}</li>", ((marker.sub("", line, count=1),) for line in lines))
