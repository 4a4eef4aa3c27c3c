/**
 * @module
 * `examples/langchain` and `docs/guide/langchain.md`, as a new user has them.
 */
import { describeAsAUser } from '../as-a-user.ts'

await describeAsAUser({ name: 'langchain', page: 'langchain.md', isLinked: true })
