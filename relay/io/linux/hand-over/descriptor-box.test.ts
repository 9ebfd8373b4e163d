import assert from 'node:assert/strict'
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DESCRIPTORS_MAX, DescriptorBox, putDescriptors } from './descriptor-box.ts'

test('descriptors arrive as new ones of the same files, in their order, many at a time', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'turnfleet-box-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const files = ['one', 'two'].map((name) => join(folder, name))
  for (const file of files) writeFileSync(file, file)
  const sent = files.map((file) => openSync(file, 'r'))
  const box = new DescriptorBox(join(folder, 'box'))
  assert.deepEqual(box.take(), [])
  assert.equal(statSync(box.path).mode & 0o777, 0o600, 'nobody else may send to it')
  const many = Array.from({ length: 250 }, (_, index) => sent[index % 2]!)
  putDescriptors(box.path, many)
  for (const fd of sent) closeSync(fd)
  const taken = box.take()
  assert.deepEqual(
    taken.map((fd) => readFileSync(`/proc/self/fd/${fd}`, 'utf8')),
    many.map((_, index) => files[index % 2]),
  )
  for (const fd of taken) closeSync(fd)
  assert.throws(() => fstatSync(taken[0]!), /EBADF/)
  box.close()
  assert.throws(() => statSync(box.path), /ENOENT/)
})

test('too many descriptors, a box that is not there and a path that is too long are refused', () => {
  assert.throws(() => putDescriptors('/nowhere/box', new Array(DESCRIPTORS_MAX + 1).fill(0)), /more than can/)
  assert.throws(() => putDescriptors('/nowhere/box', [0]), /ENOENT/)
  assert.throws(() => new DescriptorBox(`/tmp/${'x'.repeat(120)}`), /too long/)
})
