/**
 * What is used of LangChain.js, for the compiler of this repository, where the framework is not installed. It is not shipped:
 * whoever uses `unbearer/langchain` compiles against the framework's own types.
 */
declare module '@langchain/core/messages' {
  export class ToolMessage {
    constructor(fields: { content: unknown; tool_call_id: string; name: string; status: 'success' | 'error' })
    static isInstance(value: unknown): value is ToolMessage
    readonly content: unknown
    readonly status?: 'success' | 'error'
  }
}

declare module '@langchain/core/tools' {
  export interface DynamicStructuredToolFields {
    readonly name: string
    readonly description: string
    readonly schema: unknown
    readonly returnDirect?: boolean
    readonly func: (input: unknown, run: unknown, config: unknown) => Promise<unknown>
  }
  export class DynamicStructuredTool {
    constructor(fields: DynamicStructuredToolFields)
    readonly name: string
  }
  export class ToolInputParsingException extends Error {
    readonly output?: string
  }
}

declare module '@langchain/core/utils/json_schema' {
  export function toJsonSchema(schema: unknown): unknown
}

declare module '@langchain/core/singletons' {
  export const AsyncLocalStorageProviderSingleton: {
    getInstance(): { run<T>(store: unknown, work: () => T): T }
    runWithConfig<T>(config: object, work: () => T): T
  }
}

declare module '@langchain/langgraph' {
  export function interrupt(value: unknown): unknown
}

declare module 'langchain' {
  import type { ToolMessage } from '@langchain/core/messages'
  export interface ToolCallRequest {
    readonly toolCall: { readonly id?: string; readonly name: string; readonly args: unknown }
    readonly tool: unknown
    readonly state: { readonly messages: readonly unknown[] }
    readonly runtime: { readonly signal?: AbortSignal }
  }
  export interface ModelRequest {
    readonly tools: readonly unknown[]
  }
  export interface AgentMiddleware {
    readonly name: string
    readonly wrapToolCall?: (
      request: ToolCallRequest,
      handler: (request: ToolCallRequest) => ToolMessage | Promise<ToolMessage>,
    ) => Promise<ToolMessage>
    readonly wrapModelCall?: (request: ModelRequest, handler: (request: ModelRequest) => unknown) => unknown
  }
}
