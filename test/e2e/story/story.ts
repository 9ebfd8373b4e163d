import { randomBytes } from 'node:crypto'
import type { Browser } from 'playwright-core'
import { joinRoom, launchBrowser } from '../browser.ts'
import type { Caller } from '../caller.ts'
import { IceEndpoint } from '../fleet.ts'
import type { World } from '../world.ts'

/** What one step of the story leaves to the next. */
export class Story {
  readonly world: World
  readonly apiKey = `tfk_${randomBytes(32).toString('hex')}`
  /** Where the example application answers, once it runs. */
  webUrl = ''
  #ice: IceEndpoint | undefined
  #browsers: { office: Browser; home: Browser } | undefined

  constructor(world: World) {
    this.world = world
  }

  get ice(): IceEndpoint {
    if (!this.#ice) throw new Error('turnfleet is not installed yet')
    return this.#ice
  }

  installed(serviceAddress: string, authority: string): void {
    this.#ice = new IceEndpoint(`https://${serviceAddress}`, authority, this.apiKey)
  }

  /** Starts a Chromium behind each NAT. */
  async openBrowsers(): Promise<void> {
    const { plane, caFile, office, home } = this.world
    const [inOffice, atHome] = await Promise.all([
      launchBrowser(plane.directory, office.client, caFile),
      launchBrowser(plane.directory, home.client, caFile),
    ])
    this.#browsers = { office: inOffice, home: atHome }
  }

  /** Lets both join a room of the application; the one in the office comes first in the answer. */
  async bothJoin(
    url: string,
    room: string,
    prepare?: Parameters<typeof joinRoom>[3],
  ): Promise<[Caller, Caller]> {
    if (!this.#browsers) throw new Error('no browser runs')
    const { office, home } = this.#browsers
    return Promise.all([joinRoom(office, url, room, prepare), joinRoom(home, url, room, prepare)])
  }

  async closeBrowsers(): Promise<void> {
    if (this.#browsers) await Promise.all([this.#browsers.office.close(), this.#browsers.home.close()])
    this.#browsers = undefined
  }
}

/** Prints a figure, so that a log tells how fast and how large it was. */
export function figure(what: string, value: number, unit: 'ms' | 'MiB' | '' = 'ms'): void {
  console.log(`figure: ${what}: ${unit === 'ms' ? `${(value / 1000).toFixed(2)} s` : `${value} ${unit}`}`)
}
