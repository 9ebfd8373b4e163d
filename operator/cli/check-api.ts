import { z } from 'zod'
import { type ApiAccess, askApi } from './api-request.ts'

/** One URL and the credential for it. */
export interface CheckTarget {
  readonly url: string
  readonly username: string
  readonly credential: string
}

export interface IceQuestion extends ApiAccess {
  readonly cluster: string | undefined
}

const answer = z.object({
  iceServers: z.array(
    z.object({
      urls: z.union([z.string(), z.array(z.string())]),
      username: z.string().optional(),
      credential: z.string().optional(),
    }),
  ),
})

/** Asks `POST /v1/ice` for the TURN URLs that clients are given now; throws with what to do. */
export async function askIceServers({ cluster, ...access }: IceQuestion): Promise<CheckTarget[]> {
  const body = cluster === undefined ? {} : { cluster }
  const parsed = answer.safeParse(await askApi(access, { method: 'POST', path: '/v1/ice', body }))
  if (!parsed.success) throw new Error(`${access.api} does not answer as turnfleet does: check --api`)
  const targets = parsed.data.iceServers.flatMap(({ urls, username = '', credential = '' }) =>
    [urls].flat().map((turn) => ({ url: turn, username, credential })),
  )
  const turn = targets.filter((target) => /^turns?:/i.test(target.url))
  if (turn.length === 0) throw new Error(`${access.api} gave no TURN URL: no relay listens for clients`)
  return turn
}
