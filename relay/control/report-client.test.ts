import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Directives, LoadReport } from '../api/load-report.ts'
import { selfSigned } from '../io/testing/certificate.ts'
import { type OperatorConfig, ReportClient } from './report-client.ts'

const ANSWER: Directives = { drain: false, alternates: [], intervalSeconds: 0.2 }
const REPORT = { uid: 'uid/1' } as LoadReport

/** A client that has begun to report, and what becomes of its reports. */
function reporting(t: TestContext, operator: Partial<OperatorConfig>, timeoutMs = 5000) {
  const results: string[] = []
  const waiters = new Set<() => void>()
  const tell = (result: string) => {
    results.push(result)
    for (const look of [...waiters]) look()
  }
  const client = new ReportClient({
    operator: () => ({ url: '', intervalSeconds: 0.2, ...operator }),
    report: () => REPORT,
    directed: () => tell('directed'),
    reachable: (reachable, why) => tell(reachable ? 'reachable' : `unreachable: ${why}`),
    timeoutMs,
  })
  t.after(() => client.stop())
  client.start()
  const next = (pattern: RegExp): Promise<string> =>
    new Promise((resolve) => {
      const look = () => {
        const found = results.find((result) => pattern.test(result))
        if (found === undefined) return
        waiters.delete(look)
        resolve(found)
      }
      waiters.add(look)
      look()
    })
  return { client, results, next }
}

async function listening(t: TestContext, server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

function answering(_request: IncomingMessage, response: ServerResponse): void {
  response.end(JSON.stringify(ANSWER))
}

test('reports go over TLS to the name that the certificate carries, and only where it is trusted', async (t) => {
  const [own, other] = [await selfSigned('operator.turn.svc'), await selfSigned('operator.turn.svc')]
  const folder = mkdtempSync(join(tmpdir(), 'turnfleet-report-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'ca.crt'), own.cert)
  writeFileSync(join(folder, 'other.crt'), other.cert)
  const port = await listening(t, createTlsServer(own, answering))
  const url = `https://127.0.0.1:${port}`
  const good = reporting(t, { url, caFile: join(folder, 'ca.crt'), serverName: 'operator.turn.svc' })
  await good.next(/^directed$/)
  assert.equal(good.client.sent, 1)
  await reporting(t, { url, caFile: join(folder, 'other.crt'), serverName: 'operator.turn.svc' }).next(
    /^unreachable: /,
  )
  const misnamed = reporting(t, { url, caFile: join(folder, 'ca.crt'), serverName: 'elsewhere.turn.svc' })
  assert.match(await misnamed.next(/^unreachable: /), /elsewhere\.turn\.svc/)
})

test('an operator that says nothing, refuses, or talks nonsense is unreachable until it answers well', async (t) => {
  let answer: (response: ServerResponse) => void = () => undefined
  const port = await listening(
    t,
    createServer((_request, response) => answer(response)),
  )
  const url = `http://127.0.0.1:${port}`
  const silent = reporting(t, { url }, 50)
  assert.match(await silent.next(/^unreachable: /), /timeout|aborted/)
  answer = (response) => response.end(JSON.stringify(ANSWER))
  await silent.next(/^reachable$/)

  answer = (response) => response.writeHead(403).end('not yours')
  assert.match(await reporting(t, { url }).next(/^unreachable: /), /the operator answered 403: not yours/)
  answer = (response) => response.end('{"drain":"maybe"}')
  await reporting(t, { url }).next(/^unreachable: /)
  answer = (response) => response.end('x'.repeat(3_000_000))
  assert.match(await reporting(t, { url }).next(/^unreachable: /), /more than 2 MiB/)
})

test('reports share a connection, and an urgent one does not wait for its turn', async (t) => {
  const sockets = new Set<unknown>()
  let reports = 0
  const port = await listening(
    t,
    createServer((request, response) => {
      sockets.add(request.socket)
      reports++
      assert.equal(request.url, '/v1/relays/uid%2F1/report')
      request.resume().on('end', () => response.end(JSON.stringify({ ...ANSWER, intervalSeconds: 60 })))
    }),
  )
  const { client, results, next } = reporting(t, { url: `http://127.0.0.1:${port}` })
  await next(/^directed$/)
  results.length = 0
  client.soon()
  await next(/^directed$/)
  assert.deepEqual([reports, sockets.size], [2, 1])
})
