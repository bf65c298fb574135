"use strict";
const at = id => document.getElementById(id);
let rater = "", item = null, total = 0, busy = false;
const trail = [];

async function ask(path, body) {
  if (busy) return;
  busy = true;
  try {
    const reply = await fetch(path, { method: "POST", body: JSON.stringify({ rater, ...body }) });
    const content = await reply.json();
    if (!reply.ok) throw new Error(content.error.message);
    at("problem").textContent = "";
    show(content);
  } catch (error) {
    at("problem").textContent = "Not saved: " + error.message + ". Try again.";
  } finally {
    busy = false;
  }
}

function fill(id, text) {
  at(id).textContent = text;
  at(id).classList.toggle("empty", text.trim() === "");
  at(id).scrollTop = 0;
}

function show({ progress, item: next }) {
  item = next;
  total = progress.total;
  at("start").hidden = true;
  at("work").hidden = item === null;
  at("done").hidden = item !== null;
  at("rater").textContent = rater;
  at("bar").max = total;
  at("bar").value = progress.done;
  at("count").textContent = progress.done + " of " + total;
  at("thanks").textContent = rater + ", you have judged all " + total + " pairs.";
  at("back").disabled = trail.length === 0 && !(item && item.index > 0);
  if (item === null) return;
  fill("message", item.message);
  fill("left", item.left);
  fill("right", item.right);
  for (const side of ["left", "right"]) at(side).classList.toggle("chosen", item.answer === side);
  for (const button of document.querySelectorAll("[data-answer]"))
    button.classList.toggle("chosen", item.answer === button.dataset.answer);
}

function choose(answer) {
  if (!item || busy) return;
  trail.push(item.index);
  ask("/api/label", { index: item.index, answer });
}

function back() {
  const index = trail.length ? trail.pop() : (item ? item.index : total) - 1;
  if (index >= 0) ask("/api/item", { index });
}

at("who").addEventListener("submit", event => {
  event.preventDefault();
  rater = at("name").value.trim();
  if (rater) ask("/api/item", {});
});
for (const button of document.querySelectorAll("[data-answer]"))
  button.addEventListener("click", () => choose(button.dataset.answer));
at("back").addEventListener("click", back);
at("review").addEventListener("click", back);
document.addEventListener("keydown", event => {
  if (!at("start").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase();
  const answer = { arrowleft: "left", a: "left", arrowright: "right", b: "right", arrowdown: "tie", t: "tie" }[key];
  if (answer) { event.preventDefault(); choose(answer); }
  else if (key === "backspace") { event.preventDefault(); back(); }
});
