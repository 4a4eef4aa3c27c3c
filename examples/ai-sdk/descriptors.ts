/**
 * Prints what an operator accepts: `node descriptors.ts > tools.jsonl && unbearer tools scan desk --tools tools.jsonl`.
 */
import { currentTask } from 'unbearer'
import { guardTools, toToolDescriptors } from 'unbearer/ai-sdk'

import { tools } from './tools.ts'

const guarded = guardTools(currentTask, tools, { upstream: 'desk' })
console.log(
  toToolDescriptors(guarded)
    .map((descriptor) => JSON.stringify(descriptor))
    .join('\n'),
)
