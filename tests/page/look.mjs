// Looks at the page as people do, wide and narrow, by day and by night; says what is wrong, and leaves pictures beside itself.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const ports = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const profile = mkdtempSync(join(tmpdir(), "page-"));
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium", headless: true, userDataDir: profile,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});

const isIn = (page, state) => page.waitForFunction((wanted) => document.body.dataset.state === wanted, { timeout: 30000 }, state);

async function open(name, { width = 1440, scheme = "light", height = 900 } = {}) {
  const page = await browser.newPage();
  page.faults = [];
  page.asked = [];
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (line) => line.text().includes("Content Security Policy") && page.faults.push(line.text()));
  page.on("request", (request) => page.asked.push(request.url()));
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(`http://127.0.0.1:${ports[name]}/`);
  return page;
}

async function close(page, name) {
  await page.screenshot({ path: `${name}.png`, fullPage: true });
  await page.evaluate(axe);
  const found = await page.evaluate(async () => (await axe.run()).violations.map((each) => `${each.id}: ${each.nodes[0].html}`));
  assert.deepEqual(found, [], `${name}: whoever hears or uses keys is shut out`);
  assert.deepEqual(page.faults, [], name);
  assert.ok(page.asked.every((url) => url.startsWith("http://127.0.0.1:") || url.startsWith("data:")), `${name}: asks elsewhere`);
  await page.close();
}

try {
  for (const name of ["one", "many", "trouble"]) {
    for (const [width, scheme] of [[1440, "light"], [390, "dark"]]) {
      const page = await open(name, { width, scheme });
      await isIn(page, "live");
      await page.waitForSelector("canvas");
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than ${width}`);
      assert.equal(await page.$("img"), null, "a stranger's text became markup");
      await page.$$eval("figure button", (buttons) => buttons[0].click());
      await close(page, `${name}-${width}-${scheme}`);
    }
  }

  const trouble = await open("trouble");
  await isIn(trouble, "live");
  const commands = await trouble.$$eval("#problems code", (codes) => codes.map((code) => code.textContent));
  assert.ok(commands.length >= 5 && commands.every(Boolean), "each problem has a command");
  await trouble.$eval("#problems .copy", (button) => button.focus());
  await trouble.evaluate(() => new Promise((done) => new MutationObserver(done).observe(document.getElementById("what"), { childList: true })));
  assert.equal(await trouble.evaluate(() => document.activeElement.className), "copy", "the focus stays while the page is renewed");

  await trouble.evaluate(() => {
    Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await isIn(trouble, "paused");
  trouble.asked.length = 0;
  await new Promise((done) => setTimeout(done, 11000));
  assert.deepEqual(trouble.asked, [], "nobody looks, and nothing is asked for");
  await close(trouble, "paused");

  const silent = await open("silent");
  await isIn(silent, "old");
  await silent.waitForFunction(() => document.getElementById("old").textContent.includes("No word of the supervisor"));
  assert.match(await silent.title(), /^\?/);
  await close(silent, "silent");
  console.log("The page is well. Pictures: .build/page/*.png");
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
