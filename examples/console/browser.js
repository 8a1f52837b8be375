// A headless Chromium, driven over a pipe by its DevTools protocol: messages of
// JSON that end with a zero byte.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export async function openBrowser(width, height) {
  const profile = mkdtempSync(`${process.env.WORK ?? '/tmp'}/chromium.`);
  const child = spawn('chromium', ['--headless', '--remote-debugging-pipe', `--user-data-dir=${profile}`,
    '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--hide-scrollbars',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  child.on('error', (error) => { throw error; });
  process.on('exit', () => child.kill('SIGKILL'));
  const [, , , commands, messages] = child.stdio;
  const waiting = new Map();
  const errors = []; // what the page complained of
  let buffer = '';
  let number = 0;
  let sessionId;

  messages.setEncoding('utf8').on('data', (chunk) => {
    const parts = (buffer + chunk).split('\0');
    buffer = parts.pop();
    for (const { id, result, error, method, params } of parts.map((part) => JSON.parse(part))) {
      if (method === 'Runtime.exceptionThrown') errors.push(params.exceptionDetails.exception?.description);
      const settle = waiting.get(id);
      waiting.delete(id);
      if (error) settle?.reject(new Error(error.message));
      else settle?.resolve(result);
    }
  });
  const send = (method, params = {}) => new Promise((resolve, reject) => {
    waiting.set(++number, { resolve, reject });
    commands.write(`${JSON.stringify({ id: number, method, params, sessionId })}\0`);
  });

  const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
  ({ sessionId } = await send('Target.attachToTarget', { targetId, flatten: true }));
  await send('Page.enable');
  await send('Runtime.enable');

  const browser = {
    errors,
    send,
    resize: (w, h, mobile = false) => send('Emulation.setDeviceMetricsOverride',
      { width: w, height: h, deviceScaleFactor: 1, mobile }),
    go: (url) => send('Page.navigate', { url }),
    async run(expression) {
      const { result, exceptionDetails } = await send('Runtime.evaluate',
        { expression, awaitPromise: true, returnByValue: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
    // Until the expression is true.
    async until(expression) {
      for (let tries = 0; tries < 600; tries++) {
        if (await browser.run(expression).catch(() => false)) return;
        await sleep(50);
      }
      throw new Error(`never true: ${expression}\n${await browser.run('document.body.innerText')}`);
    },
    // As a mouse and a keyboard do it.
    async click(selector) {
      await browser.until(`document.querySelector(${JSON.stringify(selector)}).getClientRects().length > 0`);
      const [x, y] = await browser.run(`(() => {
        const node = document.querySelector(${JSON.stringify(selector)});
        node.scrollIntoView({ block: 'center' });
        const { left, top, width, height } = node.getBoundingClientRect();
        return [left + width / 2, top + height / 2];
      })()`);
      for (const type of ['mousePressed', 'mouseReleased']) {
        await send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
      }
    },
    async type(selector, text) {
      await browser.click(selector);
      await send('Input.insertText', { text });
    },
    async choose(selector, label) {
      await browser.run(`(() => {
        const select = document.querySelector(${JSON.stringify(selector)});
        select.value = [...select.options].find((o) => o.text === ${JSON.stringify(label)}).value;
        select.dispatchEvent(new Event('change', { bubbles: true }));
      })()`);
    },
    async screenshot(file) {
      await browser.run('scrollTo(0, 0)');
      const { cssContentSize: { width: w, height: h } } = await send('Page.getLayoutMetrics');
      const { data } = await send('Page.captureScreenshot',
        { captureBeyondViewport: true, clip: { x: 0, y: 0, width: w, height: h, scale: 1 } });
      writeFileSync(file, Buffer.from(data, 'base64'));
    },
    async close() {
      const gone = once(child, 'exit');
      send('Browser.close').catch(() => {});
      setTimeout(() => child.kill('SIGKILL'), 5000).unref();
      await gone;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
  await browser.resize(width, height);
  return browser;
}
