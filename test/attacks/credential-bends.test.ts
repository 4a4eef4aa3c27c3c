/**
 * A stolen action credential on the wire, against the frameworks that are at hand. Express and Fastify: `test/http`.
 * Seen to fail: without the digest of the body, without the list of telling headers, without the host, with `url` for the
 * request line.
 */
import { honoApi, nodeApi } from '../support/orders-api.ts'
import { describeBends } from './credential-bends.ts'

describeBends('node:http', nodeApi)
describeBends('Hono', honoApi)
