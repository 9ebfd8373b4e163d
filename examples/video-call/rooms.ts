import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import type { IceServers } from './ice-servers.ts'

const ROOMS_MAX = 1_000
const MEMBERS_MAX = 2
const ROOM_NAME = /^[a-z0-9-]{1,64}$/
/** Trickle ICE sends some twenty messages at once and hardly any afterwards. */
const MESSAGES_BURST = 200
const MESSAGES_PER_SECOND = 20

/** What the server says; `signal` carries what the other page sent, unread. */
type ServerMessage =
  | { type: 'waiting' }
  | ({ type: 'start'; polite: boolean } & IceServers)
  | ({ type: 'ice' } & IceServers)
  | { type: 'signal'; signal: unknown }
  | { type: 'peer-left' }
  | { type: 'error'; message: string }

interface Member {
  socket: WebSocket
  user: string
  room: string | undefined
  tokens: number
  refilledAtMs: number
}

/** Rooms of two people: pairs them, hands each its ICE servers, and passes their signalling on. */
export class Rooms {
  readonly #rooms = new Map<string, Member[]>()
  readonly #iceServers: (user: string) => Promise<IceServers>

  constructor(iceServers: (user: string) => Promise<IceServers>) {
    this.#iceServers = iceServers
  }

  /** Serves one page until its socket closes. */
  accept(socket: WebSocket): void {
    const member: Member = {
      socket,
      user: randomUUID(),
      room: undefined,
      tokens: MESSAGES_BURST,
      refilledAtMs: Date.now(),
    }
    socket.on('message', (data, isBinary) => {
      if (isBinary || !spendToken(member)) return socket.close(1008, 'too many messages')
      const message = parse(String(data))
      if (!message) return socket.close(1007, 'not a message of this application')
      void this.#handle(member, message)
    })
    socket.on('error', () => socket.terminate())
    socket.on('close', () => this.#leave(member))
  }

  async #handle(member: Member, message: Record<string, unknown>): Promise<void> {
    if (message.type === 'join') await this.#join(member, message.room)
    else if (message.type === 'signal') this.#others(member, { type: 'signal', signal: message.signal })
    else if (message.type === 'refresh' && member.room) await this.#refresh(member)
  }

  async #join(member: Member, name: unknown): Promise<void> {
    if (member.room) return refuse(member, 'You are in a room already.')
    if (typeof name !== 'string' || !ROOM_NAME.test(name)) {
      return refuse(member, 'A room name has up to 64 letters a-z, digits and hyphens.')
    }
    const members = this.#rooms.get(name) ?? []
    if (members.length >= MEMBERS_MAX) return refuse(member, 'Two people are in this room already.')
    if (members.length === 0 && this.#rooms.size >= ROOMS_MAX) {
      return refuse(member, 'All rooms are taken: try again later.')
    }
    members.push(member)
    this.#rooms.set(name, members)
    member.room = name
    if (members.length < MEMBERS_MAX) return send(member, { type: 'waiting' })
    await this.#start(members)
  }

  /** Only now: credentials live for a limited time, and the first one may have waited for long. */
  async #start(members: Member[]): Promise<void> {
    try {
      const answers = await Promise.all(members.map(({ user }) => this.#iceServers(user)))
      // Both are told before either signals.
      members.forEach((member, i) => {
        send(member, { type: 'start', polite: i > 0, ...answers[i]! })
      })
    } catch (error) {
      for (const member of members) noRelays(member, error)
    }
  }

  async #refresh(member: Member): Promise<void> {
    try {
      send(member, { type: 'ice', ...(await this.#iceServers(member.user)) })
    } catch (error) {
      noRelays(member, error)
    }
  }

  #others(member: Member, message: ServerMessage): void {
    for (const other of this.#rooms.get(member.room ?? '') ?? []) {
      if (other !== member) send(other, message)
    }
  }

  #leave(member: Member): void {
    if (!member.room) return
    this.#others(member, { type: 'peer-left' })
    const left = (this.#rooms.get(member.room) ?? []).filter((other) => other !== member)
    if (left.length > 0) this.#rooms.set(member.room, left)
    else this.#rooms.delete(member.room)
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return value && typeof value === 'object' ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function spendToken(member: Member): boolean {
  const now = Date.now()
  const refilled = member.tokens + ((now - member.refilledAtMs) / 1000) * MESSAGES_PER_SECOND
  member.tokens = Math.min(MESSAGES_BURST, refilled) - 1
  member.refilledAtMs = now
  return member.tokens >= 0
}

function send(member: Member, message: ServerMessage): void {
  if (member.socket.readyState === WebSocket.OPEN) member.socket.send(JSON.stringify(message))
}

function noRelays(member: Member, error: unknown): void {
  console.error('no ICE servers:', error instanceof Error ? error.message : error)
  refuse(member, 'No relays are to be had at the moment: try again later.')
}

function refuse(member: Member, message: string): void {
  send(member, { type: 'error', message })
}
