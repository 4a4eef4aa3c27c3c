/**
 * Prints what an operator accepts: `node descriptors.ts > tools.jsonl && unbearer tools scan desk --tools tools.jsonl`.
 */
import { guardTools, toToolDescriptors } from 'unbearer/langchain'

import { tools } from './tools.ts'

for (const descriptor of toToolDescriptors(guardTools(tools, { upstream: 'desk' })))
  console.log(JSON.stringify(descriptor))
