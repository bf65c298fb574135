// The annotation page in a real browser: keyboard, buttons, back, resume, two raters, hostile text.
//
// Needs Node with `playwright-core` (npm install playwright-core) and Chromium; CHROMIUM names it
// (default /usr/bin/chromium). It makes a run directory of its own, starts the example on it, and leaves
// screenshots beside it:
//
//     cargo build --release --example annotate
//     node crates/ingrain-serve/tests/browser/annotate.mjs target/release/examples/annotate

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRequire } from "node:module";

const { chromium } = createRequire(join(process.cwd(), "x.js"))("playwright-core");
const program = process.argv[2];
const dir = mkdtempSync(join(tmpdir(), "annotate-"));
mkdirSync(join(dir, "eval", "coherence"), { recursive: true });
const hostile = "<img src=x onerror=\"document.title='taken over'\"><script>document.title='taken over'</script>";
const cases = [0, 1, 2, 3].map(i => ({
  key: `secret method/${i}`,
  message: `Message ${i}: why is the sky blue?`,
  task: { task: "compare", first: `own ${i} ` + (i === 0 ? hostile : "Oh, the sky. How original. ".repeat(9)), second: i === 1 ? "" : `other ${i} Air scatters blue light.` },
}));
writeFileSync(join(dir, "eval/coherence/cases.jsonl"), cases.map(c => JSON.stringify(c) + "\n").join(""));

const server = spawn(program, [dir, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
const url = await new Promise(found => server.stdout.on("data", data => {
  const match = /http:\S+/.exec(data);
  if (match) found(match[0]);
}));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const labels = () => {
  const text = readFileSync(join(dir, "eval/labels.jsonl"), "utf8");
  return text.split("\n").filter(Boolean).map(line => JSON.parse(line));
};

try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  const count = text => page.waitForFunction(t => document.getElementById("count").textContent === t, text);
  const start = async name => {
    await page.goto(url);
    await page.fill("#name", name);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#left", { state: "visible" });
  };

  await start("Ann");
  await count("0 of 4");
  await page.screenshot({ path: join(dir, "pair.png") });
  // Ann chooses "own" wherever it stands, by keyboard.
  for (let i = 0; i < 4; i++) {
    await count(`${i} of 4`);
    assert(!(await page.content()).includes("secret"), "the method is not in the page");
    const left = await page.textContent("#left");
    await page.keyboard.press(left.startsWith("own") ? (i % 2 ? "a" : "ArrowLeft") : (i % 2 ? "b" : "ArrowRight"));
  }
  await page.waitForSelector("#done", { state: "visible" });
  await page.screenshot({ path: join(dir, "done.png") });
  assert.equal(await page.title(), "Ingrain: which reply is better?", "text is text, not markup");
  assert.deepEqual(labels().map(l => l.verdict), ["first", "first", "first", "first"]);

  // Back shows the earlier choice; another one replaces it.
  await page.keyboard.press("Backspace");
  await page.waitForSelector(".reply.chosen");
  await page.screenshot({ path: join(dir, "back.png") });
  await page.keyboard.press("ArrowDown");
  await page.waitForSelector("#done", { state: "visible" });
  assert.equal(labels().at(-1).verdict, "tie");

  // Ben is another rater; he stops after one and goes on where he stopped.
  await start("Ben");
  await count("0 of 4");
  await page.click("#choose-tie");
  await count("1 of 4");
  const second = await page.textContent("#message");
  await start("Ben");
  await count("1 of 4");
  assert.equal(await page.textContent("#message"), second);
  assert.deepEqual(new Set(labels().map(l => l.rater)), new Set(["Ann", "Ben"]));

  await page.setViewportSize({ width: 420, height: 800 });
  await page.screenshot({ path: join(dir, "narrow.png") });
  console.log(`ok; screenshots in ${dir}`);
} finally {
  await browser.close();
  server.kill("SIGINT");
}
