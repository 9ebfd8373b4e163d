import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLRDHUP } from '../constants.ts'
import { READ_BYTES } from './stream-buffers.ts'

/** What a connection that is read from is watched for. */
export const READING = EPOLLIN | EPOLLRDHUP
/** Neither side sends any more, or the connection is broken. */
export const OVER = EPOLLERR | EPOLLHUP

/**
 * Whether a connection that is watched with EPOLLET may hold more after a read, so that nobody would name it again.
 * A read that leaves room has taken everything (epoll(7)), but for the end of the stream, which was told before.
 */
export function mayHoldMore(length: number, flags: number): boolean {
  return length === READ_BYTES || (length > 0 && (flags & (OVER | EPOLLRDHUP)) !== 0)
}
