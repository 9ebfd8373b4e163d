import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { compile, compilerVersion, OBJECT, readRecord, recordOf } from './build-bpf.ts'

test('the eBPF object is that of the source beside it: node scripts/build-bpf.ts', () => {
  const record = readRecord()
  assert.deepEqual(recordOf(record.compiler), record)
})

test('the same compiler makes the same object again', (t) => {
  const record = readRecord()
  const version = compilerVersion()
  if (version !== record.compiler) {
    t.skip(`needs ${record.compiler}, and here is ${version ?? 'no clang'}`)
    return
  }
  assert.ok(Buffer.from(compile()).equals(readFileSync(OBJECT)))
})
