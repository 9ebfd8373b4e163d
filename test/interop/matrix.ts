import { OTHER_ROWS } from './other-rows.ts'
import { type Contender, type Row, type RowResult, runRow } from './row.ts'
import { OTHER_USER, startCoturn, startTurnfleet, USER } from './servers.ts'
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
    clients.push(
      await chromiumClient(),
      await firefoxClient(contenders.map(({ users }) => users.caFile)),
      wrtcClient(),
      nodeDatachannelClient(),
    )
    const [chromium, firefox, wrtc, nodeDatachannel] = clients as [
      WebRtcClient,
      WebRtcClient,
      WebRtcClient,
      WebRtcClient,
    ]
    const rows = [
      ...webRtcRows(chromium, ['udp', 'tcp', 'tls']),
      shortLifetimeRow(chromium),
      ...webRtcRows(firefox, ['udp', 'tcp', 'tls']),
      // Its TLS trusts public authorities only.
      ...webRtcRows(wrtc, ['udp', 'tcp']),
      // Its TURN is over UDP only.
      ...webRtcRows(nodeDatachannel, ['udp']),
      ...OTHER_ROWS,
      ...UCLIENT_ROWS,
    ].filter(wanted)
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
        { name: 'turnutils_uclient and turnutils_natdiscovery', version: contenders[1]!.version },
      ],
      lines,
    }
  } finally {
    for (const client of clients) await client.close()
    for (const contender of contenders) await contender.stop()
  }
}
