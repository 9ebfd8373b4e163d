import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** What the load process is told. */
export type LoadOrder =
  /** Opens allocations at `address:port` over UDP. */
  | { do: 'open'; address: string; username: string; credential: string; count: number }
  /** Gives allocations back, at one relay or at all, until `keep` are left there. */
  | { do: 'close'; relay?: string; keep: number }
  | { do: 'report' }

export interface LoadAnswer {
  /** Open allocations by the relay's address. */
  byRelay: Record<string, number>
  /** Allocations that failed after they were open. */
  lost: string[]
  refusals: { code: number; step: string; reason: string }[]
}

const PROCESS = fileURLToPath(new URL('load-process.ts', import.meta.url))

/** Many TURN clients in a process in a network namespace. */
export class Load {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #waiting = new Map<number, PromiseWithResolvers<LoadAnswer>>()
  #last = 0

  constructor(netns: string, peerAddress: string, log: string) {
    const args = [`--net=/run/netns/${netns}`, process.execPath, PROCESS, peerAddress]
    this.#child = spawn('nsenter', args, {
      stdio: ['pipe', 'pipe', openSync(log, 'a')],
    }) as ChildProcessByStdio<Writable, Readable, null>
    this.#child.once('exit', () => {
      for (const { reject } of this.#waiting.values())
        reject(new Error('the load process has ended: see load.log'))
    })
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const { id, ...answer } = JSON.parse(line) as LoadAnswer & { id: number }
      this.#waiting.get(id)?.resolve(answer)
      this.#waiting.delete(id)
    })
  }

  /** Carried out one after the other. */
  async order(order: LoadOrder): Promise<LoadAnswer> {
    const id = ++this.#last
    const answer = Promise.withResolvers<LoadAnswer>()
    this.#waiting.set(id, answer)
    this.#child.stdin.write(`${JSON.stringify({ id, ...order })}\n`)
    return answer.promise
  }

  stop(): void {
    this.#child.stdin.end()
  }
}
