import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import type { IceServer } from '../../operator/credentials/issue.ts'

const STANDALONE = fileURLToPath(new URL('../../operator/standalone.ts', import.meta.url))
const EXAMPLE = fileURLToPath(new URL('../../examples/local.yaml', import.meta.url))
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const CHECK_TIMEOUT_MS = 60_000

interface CheckedRow {
  url: string
  result: string
  text: string
}

/** Browsers make no connection where a host has nothing but its loopback, as a new network namespace. */
function ensureNetwork(): () => void {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? [])
  if (addresses.some(({ internal }) => !internal)) return () => {}
  execFileSync('sh', [
    '-ec',
    `ip link set lo up
     ip link add tf-check0 type veth peer name tf-check1
     ip addr add 198.51.100.9/24 dev tf-check0
     ip link set tf-check0 up
     ip link set tf-check1 up`,
  ])
  return () => execFileSync('ip', ['link', 'del', 'tf-check0'])
}

interface CheckOptions {
  screenshot?: string | undefined
  /** Changes the answer of /v1/ice on its way to the page. */
  iceServers?: (given: IceServer[]) => IceServer[]
}

/** Opens the check page in a new browser and waits for its verdict. */
async function check(page: string, flags: string[] = [], options: CheckOptions = {}) {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      ...flags,
    ],
  })
  try {
    const tab = await browser.newPage({ viewport: { width: 1100, height: 1250 } })
    const complaints: string[] = []
    tab.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
    tab.on('pageerror', (error) => complaints.push(error.message))
    const { iceServers, screenshot } = options
    if (iceServers) {
      await tab.route('**/v1/ice', async (route) => {
        const answer = (await (await route.fetch()).json()) as { iceServers: IceServer[] }
        await route.fulfill({ json: { ...answer, iceServers: iceServers(answer.iceServers) } })
      })
    }
    await tab.goto(page)
    const verdict = tab.locator('#verdict', { hasText: 'This browser reaches' })
    await verdict.waitFor({ timeout: CHECK_TIMEOUT_MS })
    if (screenshot) await tab.screenshot({ path: screenshot, fullPage: true })
    const rows = await tab.locator('#result-rows tr').evaluateAll((found): CheckedRow[] =>
      found.map((row) => ({
        url: row.getAttribute('data-url') ?? '',
        result: row.getAttribute('data-result') ?? '',
        text: row.textContent ?? '',
      })),
    )
    const relays = await tab.locator('#relays tr').allTextContents()
    return { verdict: await verdict.textContent(), rows, relays, complaints }
  } finally {
    await browser.close()
  }
}

describe('the check page of a fleet on this machine', () => {
  const state = mkdtempSync(join(tmpdir(), 'turnfleet-check-'))
  let fleet: ChildProcess
  let page = ''
  let removeNetwork = () => {}

  before(async () => {
    removeNetwork = ensureNetwork()
    fleet = spawn(process.execPath, [STANDALONE, '-f', EXAMPLE, '--state', state, '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    assert.ok(fleet.stdout)
    for await (const line of createInterface({ input: fleet.stdout })) {
      const match = /^Check +(http:\S+)/.exec(line)
      if (match) page = match[1] ?? ''
      if (match) break
    }
    fleet.stdout.resume()
    assert.notEqual(page, '')
  })

  after(async () => {
    if (fleet.exitCode === null) {
      fleet.kill('SIGTERM')
      await once(fleet, 'exit')
    }
    rmSync(state, { recursive: true, force: true })
    removeNetwork()
  })

  test('UDP and TCP pass in a browser as it comes, and TLS fails with the reason', async (t) => {
    const { verdict, rows, relays, complaints } = await check(page, [], {
      screenshot: process.env.CHECK_SCREENSHOT,
    })
    t.diagnostic(`${verdict}`)
    assert.match(verdict ?? '', /over UDP and TCP, not over TLS/)
    assert.equal(rows.length, 8)
    for (const { url, result, text } of rows) {
      t.diagnostic(`${url}: ${text}`)
      assert.equal(result, url.startsWith('turns:') ? 'failed' : 'passed', text)
      if (result === 'failed') assert.match(text, /refuse a self-signed certificate/)
    }
    assert.equal(relays.length, 2)
    assert.ok(
      relays.every((text) => text.includes('Ready')),
      relays.join('\n'),
    )
    assert.deepEqual(complaints, [])
  })

  test('TLS passes too in a browser that does not ask about certificates', async (t) => {
    const { verdict, rows } = await check(page, ['--ignore-certificate-errors'])
    t.diagnostic(`${verdict}`)
    assert.match(verdict ?? '', /over UDP, TCP and TLS\.$/)
    assert.deepEqual(
      rows.filter(({ result }) => result !== 'passed'),
      [],
    )
  })

  test('what fails is said in words', async () => {
    const { verdict, rows } = await check(page, [], {
      iceServers: ([first]) => [
        { username: 'u', credential: 'c', urls: ['turn:127.0.0.1:9?transport=tcp', 'turn:127.0.0.1:70000'] },
        { username: first?.username ?? '', credential: 'wrong', urls: first?.urls.slice(0, 1) ?? [] },
      ],
    })
    assert.equal(verdict, 'This browser reaches no relay.')
    const [closed, malformed, refused] = rows.map(({ text }) => text)
    assert.match(closed ?? '', /No connection: TCP port 9 is blocked on the way, or nothing listens there/)
    assert.match(malformed ?? '', /The browser does not take this URL/)
    assert.match(refused ?? '', /does not accept the credential/)
  })
})
