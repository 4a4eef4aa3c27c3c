/**
 * @module
 * `examples/ai-sdk` and `docs/guide/ai-sdk.md`, as a new user has them.
 */
import { describeAsAUser } from '../as-a-user.ts'

await describeAsAUser({ name: 'ai-sdk', page: 'ai-sdk.md', isLinked: false })
