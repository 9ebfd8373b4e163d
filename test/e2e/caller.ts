import type { Page } from 'playwright-core'

/** Chromium gives its allocations back in the background, and has no event for its end. */
const LEAVE_MS = 500

/** One side of a call in the example application, seen as a person sees it. */
export interface Caller {
  page: Page
  /** Waits until the page says that the call has that state. */
  state(state: string, timeoutMs: number): Promise<void>
  figures(): Promise<CallFigures>
  log(): Promise<string>
  /** Leaves the room, as a person does: the relay is told, and forgets the allocations at once. */
  leave(): Promise<void>
}

export interface CallFigures {
  state: string
  connectedAfter: string
  /** `host`, `srflx`, `prflx` or `relay`. */
  localType: string
  relayProtocol: string
  url: string
  remoteType: string
  bytesSent: number
  bytesReceived: number
  /** Seconds of the other side's video that have been played. */
  videoSeconds: number
}

/** What a person sees and does on a page; `faults` gathers what went wrong in it. */
export function callerOn(page: Page, faults: string[]): Caller {
  return {
    page,
    async state(state, timeoutMs) {
      try {
        await page.waitForSelector(`#state[data-state="${state}"]`, { timeout: timeoutMs, state: 'attached' })
      } catch {
        const shown = await page.getAttribute('#state', 'data-state')
        throw new Error(`the call is "${shown}", not "${state}", after ${timeoutMs} ms:\n${await this.log()}`)
      }
    },
    async figures() {
      return page.evaluate(READ_FIGURES) as Promise<CallFigures>
    },
    async leave() {
      await page.click('#leave')
      await page.waitForTimeout(LEAVE_MS)
      await page.close()
    },
    async log() {
      return [...(await page.locator('#log li').allTextContents()), ...faults].join('\n')
    },
  }
}

/** Runs in the page. */
const READ_FIGURES = `(() => {
  const $ = (id) => document.getElementById(id)
  return {
    state: $('state').dataset.state,
    connectedAfter: $('elapsed').textContent,
    localType: $('local-candidate').dataset.type ?? '',
    relayProtocol: $('local-candidate').dataset.relayProtocol ?? '',
    url: $('local-candidate').dataset.url ?? '',
    remoteType: $('remote-candidate').dataset.type ?? '',
    bytesSent: Number($('sent').dataset.bytes ?? 0),
    bytesReceived: Number($('received').dataset.bytes ?? 0),
    videoSeconds: $('remote').currentTime,
  }
})()`

/** Waits until both sides are connected; an error tells what both have seen. */
export async function bothConnected(callers: Caller[], timeoutMs: number): Promise<void> {
  const outcomes = await Promise.allSettled(callers.map((caller) => caller.state('connected', timeoutMs)))
  if (outcomes.every(({ status }) => status === 'fulfilled')) return
  const logs = await Promise.all(callers.map((caller) => caller.log()))
  throw new Error(`no call within ${timeoutMs} ms\n${logs.join('\n--- the other side\n')}`)
}

/** Types a chat message on one side and waits until it is read on the other: the data channel works. */
export async function chat(from: Caller, to: Caller, text: string): Promise<void> {
  await from.page.fill('#text', text)
  await from.page.click('#send')
  await to.page.locator('#messages .theirs', { hasText: text }).waitFor({ timeout: 5_000 })
}
