import { OTHER_ROWS } from './other-rows.ts'
import { type Contender, type Row, type RowResult, runRow } from './row.ts'
import { coturnVersion, OTHER_USER, startCoturn, startTurnfleet, USER } from './servers.ts'
import { UCLIENT_ROWS } from './uclient-rows.ts'
import {
  chromiumClient,
  firefoxClient,
  nodeDatachannelClient,
  packageVersion,
  type WebRtcClient,
  wrtcClient,
} from './webrtc-clients.ts'
import { shortLifetimeRow, webRtcRows } from './webrtc-rows.ts'

export interface Matrix {
  readonly contenders: readonly { readonly name: string; readonly version: string }[]
  readonly clients: readonly { readonly name: string; readonly version: string }[]
  /** A line for each row: the result of each contender, in their order. */
  readonly lines: readonly (readonly RowResult[])[]
}

/** Our relay: one process does it all. */
export async function turnfleetContender(): Promise<Contender> {
  const users = await startTurnfleet()
  const short = await startTurnfleet({
    credentials: { users: [USER, OTHER_USER] },
    limits: { allocationLifetimeSeconds: 6, allocationLifetimeMaxSeconds: 6 },
  })
  const { name, version } = users
  return {
    ...{ name, version, users, rest: users, tokens: users, short },
    async stop() {
      await Promise.all([users.stop(), short.stop()])
    },
  }
}

/** coturn: a process for each kind of credentials. */
export async function coturnContender(): Promise<Contender> {
  const [users, rest, tokens] = [await startCoturn(), await startCoturn('rest'), await startCoturn('tokens')]
  const { name, version } = users
  return {
    ...{ name, version, users, rest, tokens, short: undefined },
    async stop() {
      await Promise.all([users.stop(), rest.stop(), tokens.stop()])
    },
  }
}

/** Runs every row that `wanted` takes against our relay and coturn, one after the other; `tell` hears each result. */
export async function runMatrix(
  wanted: (row: Row) => boolean,
  tell: (contender: string, result: RowResult) => void,
): Promise<Matrix> {
  const contenders: Contender[] = []
  const clients: WebRtcClient[] = []
  try {
    contenders.push(await turnfleetContender(), await coturnContender())
    const browsers = await launchBrowsers(contenders)
    clients.push(...browsers, wrtcClient(), nodeDatachannelClient())
    const rows = [...browserRows(browsers), ...NATIVE_ROWS, ...OTHER_ROWS, ...UCLIENT_ROWS].filter(wanted)
    const lines: RowResult[][] = []
    for (const row of rows) {
      const line: RowResult[] = []
      for (const contender of contenders) {
        const result = await runRow(row, contender)
        tell(contender.name, result)
        line.push(result)
      }
      lines.push(line)
    }
    return {
      contenders: contenders.map(({ name, version }) => ({ name, version })),
      clients: [
        ...clients.map(({ name, version }) => ({ name, version })),
        { name: 'werift-ice', version: packageVersion('werift-ice') },
        { name: 'turnutils_uclient and turnutils_natdiscovery', version: coturnVersion() },
      ],
      lines,
    }
  } finally {
    for (const client of clients) await client.close()
    for (const contender of contenders) await contender.stop()
  }
}

async function launchBrowsers(contenders: readonly Contender[]): Promise<[WebRtcClient, WebRtcClient]> {
  const chromium = await chromiumClient()
  try {
    return [chromium, await firefoxClient(contenders.map(({ users }) => users.caFile))]
  } catch (error) {
    await chromium.close()
    throw error
  }
}

function browserRows([chromium, firefox]: readonly [WebRtcClient, WebRtcClient]): readonly Row[] {
  return [
    ...webRtcRows(chromium, ['udp', 'tcp', 'tls']),
    shortLifetimeRow(chromium),
    ...webRtcRows(firefox, ['udp', 'tcp', 'tls']),
  ]
}

/** libwebrtc's TLS trusts public authorities only; libjuice speaks TURN over UDP only. */
const NATIVE_ROWS: readonly Row[] = [
  ...webRtcRows(wrtcClient(), ['udp', 'tcp']),
  ...webRtcRows(nodeDatachannelClient(), ['udp']),
]
