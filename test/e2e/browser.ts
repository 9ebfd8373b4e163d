import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { shell } from '../cluster/command.ts'
import { callerOn } from './caller.ts'

const LAUNCH_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
]

/** A Chromium in a network namespace, with a home of its own in which it trusts the test's authority. */
export async function launchBrowser(directory: string, netns: string, caFile: string): Promise<Browser> {
  const home = join(directory, netns)
  const store = join(home, '.pki/nssdb')
  await mkdir(store, { recursive: true })
  await shell(`
    if [ ! -e '${store}/cert9.db' ]; then
      certutil -d 'sql:${store}' -N --empty-password
      certutil -d 'sql:${store}' -A -t C,, -n test -i '${caFile}'
    fi`)
  const executablePath = join(home, 'chromium')
  await writeFile(
    executablePath,
    `#!/bin/sh\nexport HOME='${home}'\nexec nsenter --net=/run/netns/${netns} chromium "$@"\n`,
  )
  await chmod(executablePath, 0o755)
  return chromium.launch({ executablePath, args: LAUNCH_ARGUMENTS, headless: true })
}

/** Opens the application at `url` and joins a room. */
export async function joinRoom(
  browser: Browser,
  url: string,
  room: string,
  prepare?: (page: Page) => Promise<void>,
) {
  const page = await browser.newPage()
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  await prepare?.(page)
  await page.goto(url)
  await page.fill('#room', room)
  await page.click('#join button')
  return callerOn(page, faults)
}
