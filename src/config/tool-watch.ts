/**
 * @module
 * Remembers for people what each session saw of the tools of a server, and says in the log what differs from what was accepted.
 */
import type { ServerManifest } from '../core/manifest.ts'
import type { Pep } from '../ports/pep.ts'
import { rememberTools, toChangedParts, type SeenTool, type ToolChange } from './seen-tools.ts'

export type ToolWatch = (upstream: string, tools: readonly SeenTool[]) => void

export interface ToolWatchOptions {
  readonly pep: Pick<Pep, 'manifest'>
  readonly report: (where: string, fault: unknown) => void
}

/** A server can have any number of tools; the file beside the manifests has them all. */
const MOST_SAID = 20

/** The watch over the manifests in `folder`. Refuses nothing: each call compares the pin for itself. Never throws. */
export function createToolWatch(folder: string, { pep, report }: ToolWatchOptions): ToolWatch {
  let before = Promise.resolve()
  const tell = async (manifest: ServerManifest, tools: readonly SeenTool[]): Promise<void> => {
    const { changes } = await rememberTools(folder, manifest, tools)
    for (const change of changes.slice(0, MOST_SAID)) report(`upstream ${manifest.server}`, toSaid(change))
  }
  return (upstream, tools) => {
    const manifest = pep.manifest(upstream)
    if (manifest === undefined) return
    // One list after the other, so that what is written last was seen last.
    const after = before.then(async () => tell(manifest, tools))
    before = after.catch((fault: unknown) => report(`upstream ${upstream}`, fault))
  }
}

function toSaid(change: ToolChange): string {
  const name = /^[\w./:-]{1,128}$/u.test(change.tool) ? `\`${change.tool}\`` : 'one'
  const parts = toChangedParts(change).join(', ')
  const what = `a tool was ${change.change} since the manifest was accepted, ${name}${parts === '' ? '' : `: ${parts}`}`
  return `${what}; \`unbearer tools changes\` shows it`
}
