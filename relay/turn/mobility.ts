import type { TransportAddress } from '../stun/address.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { METHOD } from '../stun/methods.ts'
import type { StunReader } from '../stun/reader.ts'
import type { StunWriter } from '../stun/writer.ts'
import type { Allocation } from './allocation.ts'
import type { Link } from './contract.ts'
import type { TurnCore } from './core.ts'
import { type Refusal, refuse } from './outcome.ts'

/** A Refresh that presents a ticket (RFC 8016 §3.2.2): the allocation it is for, or why it is of no use. */
export interface Presented {
  readonly allocation: Allocation | undefined
  readonly refusal: Refusal | undefined
  /** The other loop of this relay that made the ticket. */
  readonly loop?: number
}

/** MOBILITY-TICKET of an Allocate: whether the client wants a ticket (RFC 8016 §3.1.2). */
export function wantsTicket({ config }: TurnCore, reader: StunReader): boolean | Refusal {
  const index = reader.find(ATTRIBUTE.MobilityTicket)
  if (index < 0) return false
  if (reader.valueLength(index) !== 0) return refuse('bad-request')
  return config.mobility || refuse('mobility-forbidden')
}

/** Reads the ticket of a Refresh; undefined where it has none. Who presents it is not known yet. */
export function readTicket(core: TurnCore, link: number, from: TransportAddress): Presented | undefined {
  const { reader, config } = core
  const index = reader.method === METHOD.Refresh ? reader.find(ATTRIBUTE.MobilityTicket) : -1
  if (index < 0) return undefined
  if (!config.mobility) return useless(refuse('mobility-forbidden'))
  const state = core.tickets.open(reader.value(index))
  if (state === undefined) return useless(refuse('bad-request'))
  if (state === 'elsewhere') return useless(refuse('no-allocation'))
  if ('loop' in state) return { ...useless(refuse('no-allocation')), loop: state.loop }
  const allocation = core.table.at(state.index)
  if (allocation?.id !== state.allocation) return useless(refuse('no-allocation'))
  const { mobility } = allocation
  if (!mobility) return useless(refuse('bad-request'))
  const there = isActive(allocation, link, from) || isNext(allocation, link, from)
  const usable = there ? state.serial === mobility.serial - 1 : state.serial === mobility.serial
  return { allocation, refusal: usable ? undefined : refuse('bad-request') }
}

/**
 * Lets the allocation be used from another 5-tuple too; a retransmission changes nothing. What peers send
 * goes there once the client has sent data from there (RFC 8016 §3.2.2).
 */
export function move(
  { table, outputs }: TurnCore,
  allocation: Allocation,
  link: Link,
  client: TransportAddress,
): Refusal | undefined {
  const { mobility } = allocation
  if (!mobility || isActive(allocation, link.id, client) || isNext(allocation, link.id, client))
    return undefined
  if (table.find(link.id, client)) return refuse('allocation-exists')
  const abandoned = mobility.next
  if (!table.setNext(allocation, { link, client })) return refuse('relay-full')
  if (abandoned) outputs.push({ kind: 'link-in-use', link: abandoned.link.id, inUse: false })
  outputs.push({ kind: 'link-in-use', link: link.id, inUse: true })
  mobility.serial++
  return undefined
}

/** The client has arrived at its next 5-tuple: the one it had is forgotten. */
export function arrive({ table, outputs }: TurnCore, allocation: Allocation): void {
  outputs.push({ kind: 'link-in-use', link: allocation.link.id, inUse: false })
  table.takeNext(allocation)
}

/** MOBILITY-TICKET of a success response. */
export function writeTicket({ tickets }: TurnCore, writer: StunWriter, allocation: Allocation): void {
  const { id, index, mobility } = allocation
  if (!mobility) return
  const ticket = tickets.issue({ allocation: id, index, serial: mobility.serial })
  writer.addBytes(ATTRIBUTE.MobilityTicket, ticket)
}

/** Whether the client is waiting to be heard at this 5-tuple. */
export function isNext({ mobility }: Allocation, link: number, client: TransportAddress): boolean {
  const next = mobility?.next
  return next !== undefined && next.link.id === link && next.client.equals(client)
}

/** Whether this is the 5-tuple that peers' data goes to. */
export function isActive(allocation: Allocation, link: number, client: TransportAddress): boolean {
  return allocation.link.id === link && allocation.client.equals(client)
}

function useless(refusal: Refusal): Presented {
  return { allocation: undefined, refusal }
}
