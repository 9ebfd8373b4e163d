import { describeRelayIo } from '../conformance.ts'
import { PortableIo } from './portable-io.ts'

describeRelayIo('PortableIo', () => new PortableIo())
