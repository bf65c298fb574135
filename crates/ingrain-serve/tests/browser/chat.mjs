// The chat page in a real browser: both sides, the dial, hostile text, a reply that is cut off, a stop, a new
// chat, a request that does not fit, dark, a telephone's width.
//
// Needs Node with `playwright-core` (npm install playwright-core) and Chromium; CHROMIUM names it
// (default /usr/bin/chromium). It starts the example on a free port and leaves screenshots in a
// directory that it names at the end:
//
//     cargo build --release --example serve
//     node crates/ingrain-serve/tests/browser/chat.mjs target/release/examples/serve ADAPTER_DIR

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(join(process.cwd(), "x.js"))("playwright-core");
const [program, ...adapters] = process.argv.slice(2);
const dir = mkdtempSync(join(tmpdir(), "chat-"));
const server = spawn(program, [...adapters, "--port", "0"], { stdio: ["ignore", "ignore", "pipe"] });
const url = await new Promise((found) => server.stderr.on("data", (data) => {
  const match = /chat page: (http:\S+)/.exec(data);
  if (match) found(match[1]);
}));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});

try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  // A busy machine answers slowly; the defaults of 30 s are for pages, not for models.
  page.setDefaultTimeout(180_000);
  const problems = [];
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById("right").options.length > 0);
  assert.equal(await page.locator("#key-label").isVisible(), false, "no key is asked for where none is needed");
  const idle = () => page.waitForFunction(() => document.getElementById("send").textContent === "Send");
  const say = async (text) => {
    await page.fill("#text", text);
    await page.keyboard.press("Enter");
  };

  await page.fill("#tokens", "60");
  await say("Should I get a cat or a dog for a small flat?");
  await page.waitForFunction(() => document.querySelectorAll(".assistant").length === 2);
  await page.screenshot({ path: join(dir, "streaming.png") });
  await idle();
  for (const side of ["left", "right"]) {
    const reply = await page.textContent(`#${side}-log .assistant`);
    assert(reply.length > 5, `${side}: ${reply}`);
  }
  await page.screenshot({ path: join(dir, "answered.png") });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.screenshot({ path: join(dir, "dark.png") });
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
  assert(await fits(), "nothing reaches beyond the window");

  // What a person or a model writes is text, whatever it looks like.
  await say("<img src=x onerror=\"document.title='taken over'\"><script>document.title='taken over'</script>");
  await idle();
  assert.equal(await page.title(), "Base and character, side by side");
  assert.equal(await page.locator(".log img, .log script").count(), 0);

  // At strength 0 the character is the base: the same request gives the same words.
  await page.click("#clear");
  assert.equal(await page.locator(".turn").count(), 0);
  await page.fill("#strength", "0");
  await page.fill("#temperature", "0");
  assert.equal(await page.textContent("#strength-value"), "0.00");
  await say("Name three colours.");
  await idle();
  const [left, right] = await page.locator(".assistant").allTextContents();
  assert.equal(left, right);

  // A reply that ends at the limit says so, and so does a request that is longer than the context.
  await page.click("#clear");
  await page.fill("#tokens", "2");
  await say("Name three colours.");
  await idle();
  assert.equal(await page.locator(".assistant.cut").count(), 2);
  await page.fill("#tokens", "60");
  await say("and more ".repeat(9000));
  await idle();
  for (const refused of await page.locator(".assistant.failed").allTextContents()) assert.match(refused, /context/);
  assert.equal(await page.locator(".assistant.failed").count(), 2);
  await page.screenshot({ path: join(dir, "refused.png") });
  await page.click("#clear");
  await page.fill("#temperature", "0.7");
  // The browser reports the two refusals, and nothing else so far.
  assert.equal(problems.filter((problem) => problem.includes("status of 400")).length, 2);
  assert.equal(problems.splice(0).length, 2);

  // Stopping in mid-stream leaves the page usable.
  await page.fill("#tokens", "2000");
  await say("Tell me a long story.");
  await page.waitForFunction(() => [...document.querySelectorAll(".assistant")].at(-1).textContent.length > 20);
  await page.click("#send");
  await idle();
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 390, height: 844 });
    await page.screenshot({ path: join(dir, `narrow-${colorScheme}.png`) });
    assert(await fits(), "nothing reaches beyond the window");
  }
  assert.deepEqual(problems, []);
  console.log(`ok; screenshots in ${dir}`);
} finally {
  await browser.close();
  server.kill("SIGINT");
}
