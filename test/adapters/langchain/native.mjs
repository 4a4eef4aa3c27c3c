// The framework and our sources in one module graph. Loaded by Node itself, which strips the types; `framework.ts` tells it
// where the framework is installed.
export * as langchain from 'langchain'
export { fakeModel } from '@langchain/core/testing'
export * as messages from '@langchain/core/messages'
export * as langgraph from '@langchain/langgraph'
export { ToolNode } from '@langchain/langgraph/prebuilt'
export { dispatchCustomEvent } from '@langchain/core/callbacks/dispatch'
export { BaseCallbackHandler } from '@langchain/core/callbacks/base'
export { z } from 'zod'
export * as adapter from '../../../src/adapters/langchain/index.ts'
export * as host from '../../../src/index.ts'
export * as testing from '../../../src/testing/index.ts'
