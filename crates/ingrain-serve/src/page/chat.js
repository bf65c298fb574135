"use strict";
// Two chats with the same words: one a side. Text only ever becomes text, never markup.

const find = (id) => document.getElementById(id);
const sides = ["left", "right"].map((name) => ({ name, turns: [], aborter: null }));

function headers() {
  const key = find("key").value;
  const plain = { "Content-Type": "application/json" };
  return key ? { ...plain, Authorization: `Bearer ${key}` } : plain;
}

function notice(text) {
  find("notice").textContent = text;
}

async function failure(response) {
  if (response.status === 401) find("key-label").hidden = false;
  try {
    return (await response.json()).error.message;
  } catch {
    return `the server answered ${response.status}`;
  }
}

async function loadModels() {
  const response = await fetch("/v1/models", { headers: headers() });
  if (!response.ok) return notice(await failure(response));
  const models = (await response.json()).data;
  const plain = models.find((m) => !m.has_adapter) ?? models[0];
  const character = models.find((m) => m.has_adapter) ?? plain;
  for (const [side, wanted] of [["left", plain], ["right", character]]) {
    const select = find(side);
    select.replaceChildren(...models.map((m) => new Option(m.id, m.id, false, m.id === wanted.id)));
    title(side);
  }
  notice("");
}

function title(side) {
  find(`${side}-title`).textContent = find(side).value;
}

function show(side, role, text) {
  const turn = document.createElement("div");
  turn.className = `turn ${role}`;
  find(`${side.name}-log`).append(turn);
  write(side, turn, text);
  return turn;
}

function write(side, turn, text) {
  turn.textContent = text;
  const log = find(`${side.name}-log`);
  log.scrollTop = log.scrollHeight;
}

// Calls `onObject` for each event of a stream.
async function readStream(response, onObject) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data !== "[DONE]") onObject(JSON.parse(data));
    }
  }
}

async function ask(side) {
  const system = find("system").value.trim();
  const messages = [...(system ? [{ role: "system", content: system }] : []), ...side.turns];
  const body = {
    model: find(side.name).value,
    messages,
    stream: true,
    temperature: Number(find("temperature").value),
    max_tokens: Number(find("tokens").value),
    adapter_strength: Number(find("strength").value),
  };
  const turn = show(side, "assistant", "\u2026");
  let text = "";
  side.aborter = new AbortController();
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST", headers: headers(), body: JSON.stringify(body), signal: side.aborter.signal,
    });
    if (!response.ok) throw new Error(await failure(response));
    await readStream(response, (object) => {
      if (object.error) throw new Error(object.error.message);
      const choice = object.choices[0];
      text += choice?.delta?.content ?? "";
      if (choice?.finish_reason === "length") {
        turn.classList.add("cut");
        turn.dataset.cut = `cut off at ${body.max_tokens} tokens`;
      }
      write(side, turn, text || "\u2026");
    });
    write(side, turn, text);
  } catch (error) {
    if (error.name !== "AbortError") {
      turn.classList.add("failed");
      write(side, turn, `${text}\n[${error.message}]`.trim());
    }
  }
  // A question that got no answer is no part of the conversation.
  if (text) side.turns.push({ role: "assistant", content: text });
  else side.turns.pop();
}

async function send(event) {
  event.preventDefault();
  if (sides.some((side) => side.aborter)) {
    for (const side of sides) side.aborter?.abort();
    return;
  }
  const text = find("text").value.trim();
  if (!text) return;
  find("text").value = "";
  find("send").textContent = "Stop";
  for (const side of sides) {
    side.turns.push({ role: "user", content: text });
    show(side, "user", text);
  }
  await Promise.all(sides.map(ask));
  for (const side of sides) side.aborter = null;
  find("send").textContent = "Send";
}

function clear() {
  for (const side of sides) {
    side.aborter?.abort();
    side.turns = [];
    find(`${side.name}-log`).replaceChildren();
  }
}

find("form").addEventListener("submit", send);
find("clear").addEventListener("click", clear);
find("key").addEventListener("change", loadModels);
find("strength").addEventListener("input", () => {
  find("strength-value").textContent = Number(find("strength").value).toFixed(2);
});
for (const side of ["left", "right"]) find(side).addEventListener("change", () => title(side));
find("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    find("form").requestSubmit();
  }
});
loadModels();
