import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

function turnfleet(...args: string[]): Promise<{ status: unknown; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { timeout: 20_000 }, (error, out, err) => {
      resolve({ status: error ? error.code : 0, out, err })
    })
  })
}

test('without a command, and with --help, it lists the commands', async () => {
  for (const args of [[], ['--help']]) {
    const { status, out } = await turnfleet(...args)
    assert.equal(status, 0)
    for (const command of ['check', 'revoke', 'standalone', 'operator', 'relay'])
      assert.ok(out.includes(`  ${command} `))
  }
})

test('an unknown command is named, with status 2', async () => {
  const { status, out, err } = await turnfleet('chekc')
  assert.equal(status, 2)
  assert.equal(out, '')
  assert.match(err, /^"chekc" is not a command/)
})

test('a command gets its arguments and gives its status', async () => {
  const { status, err } = await turnfleet('check', 'turn:127.0.0.1')
  assert.equal(status, 2)
  assert.match(err, /need --username and --credential/)
})

test('a command that is a program of its own takes the process over', async () => {
  const { status, out } = await turnfleet('relay', '--help')
  assert.equal(status, 0)
  assert.match(out, /--config FILE/)
})
