import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TransportAddress } from '../../stun/address.ts'
import { ReturnWays } from './return-ways.ts'

const BALANCER = new TransportAddress().set4(0x0a000001, 40_000)
const HOUR_MS = 3_600_000

const client = (number: number) => new TransportAddress().set4(0xc6336400 + number, 4000)

test('a client is reached by the balancer and port that it was last heard from', () => {
  const ways = new ReturnWays(1)
  ways.note(client(1), BALANCER, 0)
  assert.ok(ways.get(client(1))?.equals(BALANCER))
  const other = new TransportAddress().set4(0x0a000002, 40_001)
  ways.note(client(1), other, 1)
  assert.ok(ways.get(client(1))?.equals(other))
  assert.equal(ways.get(client(2)), undefined)
  assert.equal(ways.size, 1)
})

test('more clients than fit take the places of those heard of only once', () => {
  const ways = new ReturnWays(1, 16)
  for (let round = 0; round < 2; round++) ways.note(client(1), BALANCER, round)
  for (let flood = 100; flood < 10_100; flood++) {
    ways.note(client(flood), BALANCER, flood)
    assert.ok(ways.get(client(flood)))
    if (flood % 3 === 0) ways.note(client(1), BALANCER, flood)
    assert.ok(ways.get(client(1)), `lost after ${flood}`)
    assert.ok(ways.size <= 16)
  }
})

test('when all were heard of again, one goes for the new one', () => {
  const ways = new ReturnWays(1, 16)
  for (let round = 0; round < 2; round++) for (let i = 0; i < 16; i++) ways.note(client(i), BALANCER, 0)
  ways.note(client(99), BALANCER, 1)
  assert.ok(ways.get(client(99)))
  assert.equal(ways.size, 16)
})

test('who has been silent for an hour is forgotten as others come', () => {
  const ways = new ReturnWays(1)
  for (let i = 0; i < 50; i++) ways.note(client(i), BALANCER, 0)
  for (let i = 100; i < 130; i++) ways.note(client(i), BALANCER, HOUR_MS + 1)
  assert.equal(ways.size, 30)
  assert.equal(ways.get(client(0)), undefined)
})
