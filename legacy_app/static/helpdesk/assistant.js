// The assistant on the ticket page and the Ask page: calls the API under /api/ and shows what comes back.

const GONE = "The connection broke before the answer was complete. Try again.";

// ---- talking to the API ---------------------------------------------------------------------------------

class Refused extends Error {}

async function post(url, body, signal) {
  let response;
  try {
    response = await fetch(url, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-CSRFToken": cookie("csrftoken") },
      body: JSON.stringify(body),
      signal,
    });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refused("The helpdesk cannot be reached. Try again.");
  }
  if (!response.ok) throw new Refused(await refusal(response));
  return response;
}

async function refusal(response) {
  const said = await response.json().catch(() => null);
  if (response.status === 401) return "You are signed out. Reload the page and sign in again.";
  const fields = Object.values(said?.errors ?? {}).flat();
  return [said?.detail ?? `The helpdesk answered with status ${response.status}.`, ...fields].join(" ");
}

async function postForJson(url, body, signal) {
  const response = await post(url, body, signal);
  try {
    return await response.json();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refused(GONE);
  }
}

function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

// Calls `on.delta` and so on with each event's data. Returns only after `done`: anything else is an error.
async function stream(url, body, on, signal) {
  const response = await post(url, body, signal);
  try {
    for await (const { event, data } of serverSentEvents(response.body)) {
      if (event === "error") throw new Refused(JSON.parse(data).detail);
      on[event]?.(JSON.parse(data));
      if (event === "done") return;
    }
  } catch (error) {
    if (error instanceof Refused || error.name === "AbortError") throw error;
  }
  throw new Refused(GONE);
}

// An event counts once its empty line is there; what is cut off before that is dropped.
async function* serverSentEvents(body) {
  const decoder = new TextDecoder();
  const linesIn = lineSplitter();
  const reader = body.getReader();
  let event = "";
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      for (const line of linesIn(decoder.decode(value, { stream: true }))) {
        if (line === "") {
          if (data.length) yield { event: event || "message", data: data.join("\n") };
          event = "";
          data = [];
        } else if (!line.startsWith(":")) {
          const [, field, text] = line.match(/^([^:]*):? ?(.*)$/s);
          if (field === "event") event = text;
          if (field === "data") data.push(text);
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // hang up when nobody reads on
  }
}

// Lines end with \n, \r\n or \r and nothing else; a \r\n may arrive in two pieces.
function lineSplitter() {
  let rest = "";
  let endedWithReturn = false;
  return (text) => {
    if (text === "") return [];
    const belongsToReturn = endedWithReturn && text.startsWith("\n");
    endedWithReturn = text.endsWith("\r");
    const lines = (rest + (belongsToReturn ? text.slice(1) : text)).split(/\r\n|\n|\r/);
    rest = lines.pop();
    return lines;
  };
}

// ---- showing it -----------------------------------------------------------------------------------------

const role = (name) => document.querySelector(`[data-role="${name}"]`);
const button = (name) => document.querySelector(`[data-action="${name}"]`);

// One thing at a time: while it runs the other buttons rest, and Stop stands ready.
async function working(label, task) {
  const buttons = [...document.querySelectorAll("[data-action]:not([data-action=stop])")];
  const stop = button("stop");
  const controller = new AbortController();
  const stopNow = () => controller.abort();
  role("error").hidden = true;
  buttons.forEach((each) => (each.disabled = true));
  stop.hidden = false;
  stop.addEventListener("click", stopNow);
  window.addEventListener("pagehide", stopNow);
  role("status").textContent = label;
  document.body.dataset.busy = "true";
  let ended = "";
  try {
    ended = await task(controller.signal);
  } catch (error) {
    if (error.name === "AbortError") ended = "Stopped.";
    else showError(error);
  } finally {
    buttons.forEach((each) => (each.disabled = false));
    stop.hidden = true;
    stop.removeEventListener("click", stopNow);
    window.removeEventListener("pagehide", stopNow);
    role("status").textContent = ended;
    delete document.body.dataset.busy;
  }
}

function showError(error) {
  if (!(error instanceof Refused)) console.error(error);
  role("error").textContent = error instanceof Refused ? error.message : "Something went wrong on this page. Reload it.";
  role("error").hidden = false;
}

function paragraphs(text) {
  return text
    .split(/\n\s*\n/)
    .filter((part) => part.trim())
    .map((part) => Object.assign(document.createElement("p"), { textContent: part.trim() }));
}

// ---- the ticket page ------------------------------------------------------------------------------------

function ticketPage(api) {
  on("summarise", () =>
    working("Reading the conversation …", async (signal) => {
      const summary = await postForJson(`${api}/summary`, {}, signal);
      role("summary").replaceChildren(...paragraphs(summary.text));
      role("summary-origin").textContent = `${summary.model}, just now`;
      return "";
    }),
  );

  let last = { own: "", whole: null };
  on("draft", () =>
    working("Writing a draft …", async (signal) => {
      const box = role("draft");
      // What the agent wrote stays; only an untouched draft of before is replaced.
      const written = box.value.trim() ? `${box.value.trimEnd()}\n\n` : "";
      const own = box.value === last.whole ? last.own : written;
      const wishes = { tone: role("tone").value, instructions: role("instructions").value };
      let text = "";
      const show = () => {
        box.value = own + text;
        last = { own, whole: box.value };
        box.scrollTop = box.scrollHeight;
      };
      await stream(`${api}/reply`, wishes, { delta: (piece) => ((text += piece.text), show()) }, signal);
      box.focus();
      return "The draft is in the reply box. Read it before you send it.";
    }),
  );

  on("triage", () =>
    working("Sorting the ticket …", async (signal) => {
      const verdict = await postForJson(`${api}/triage`, {}, signal);
      const shown = ["category", "priority"].map((name) => choose(name, verdict[name]));
      const said = document.createElement("p");
      said.append(Object.assign(document.createElement("strong"), { textContent: shown.join(", ") }));
      said.append(`: ${verdict.reason}`);
      role("triage-result").replaceChildren(said);
      return "";
    }),
  );
}

// The ticket is changed already; this makes the page say so.
function choose(name, value) {
  const select = document.getElementById(`id_${name}`);
  if (select) select.value = value;
  const label = select?.selectedOptions[0]?.textContent ?? value;
  const badge = role(name);
  badge.textContent = label;
  if (name === "priority") badge.className = `badge priority-${value}`;
  return label;
}

// ---- the Ask page ---------------------------------------------------------------------------------------

function askPage(form) {
  role("question").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!button("ask").disabled) form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    working("Searching the knowledge base …", async (signal) => {
      let text = "";
      let citations = [];
      role("answer").replaceChildren();
      role("citations").replaceChildren();
      role("result").hidden = true;
      const show = {
        citations: (found) => {
          citations = found.citations;
          role("citations").replaceChildren(...citations.map(citationItem));
          role("result").hidden = false;
          role("status").textContent = "Writing the answer …";
        },
        delta: (piece) => {
          text += piece.text;
          role("answer").replaceChildren(...withLinks(text, citations));
        },
      };
      await stream("/api/ask", { question: role("question").value }, show, signal);
      return "";
    });
  });
}

function citationItem({ number, title, url }) {
  const item = Object.assign(document.createElement("li"), { value: number, id: `citation-${number}` });
  item.append(Object.assign(document.createElement("a"), { href: url, textContent: title }));
  return item;
}

// [2] becomes a link to the second article, if there is one.
function withLinks(text, citations) {
  const byNumber = new Map(citations.map((citation) => [String(citation.number), citation]));
  return text.split(/(\[\d+\])/).map((part) => {
    const cited = byNumber.get(part.match(/^\[(\d+)\]$/)?.[1]);
    if (!cited) return document.createTextNode(part);
    const link = { href: cited.url, title: cited.title, textContent: part, className: "citation" };
    return Object.assign(document.createElement("a"), link);
  });
}

// ---- start ----------------------------------------------------------------------------------------------

function on(action, run) {
  button(action)?.addEventListener("click", run);
}

const panel = document.querySelector("[data-ticket-api]");
if (panel) ticketPage(panel.dataset.ticketApi);
const questionForm = role("question-form");
if (questionForm) askPage(questionForm);
