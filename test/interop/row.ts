import type { TestServer } from './servers.ts'

/** The servers that a row may use: one that takes users, and what takes other credentials. */
export interface Contender {
  readonly name: TestServer['name']
  readonly version: string
  readonly users: TestServer
  readonly rest: TestServer
  readonly tokens: TestServer
  /** Refreshes are due after seconds; absent where a server cannot be told so. */
  readonly short: TestServer | undefined
  stop(): Promise<void>
}

/** One thing that a client does through a server. */
export interface Row {
  readonly client: string
  readonly what: string
  /** Returns what is evidence that it worked; throws where it did not, `NotOffered` where the server does not do it. */
  run(contender: Contender): Promise<string>
}

/** The server does not have what the row needs. */
export class NotOffered extends Error {}

export interface RowResult {
  readonly client: string
  readonly what: string
  readonly outcome: 'pass' | 'fail' | 'not offered'
  readonly evidence: string
}

/** Runs one row against a server. */
export async function runRow(row: Row, contender: Contender): Promise<RowResult> {
  const { client, what } = row
  try {
    return { client, what, outcome: 'pass', evidence: await row.run(contender) }
  } catch (error) {
    const outcome = error instanceof NotOffered ? 'not offered' : 'fail'
    return { client, what, outcome, evidence: (error as Error).message }
  }
}
