/**
 * @module
 * Where the files that decide lie in an installation, and under which names in a backup of it.
 */
import type { EngineConfig } from './engine-config.ts'
import type { Config } from './load.ts'

export interface BackupPlace {
  /** Within a backup; a file, or the folder of several. */
  readonly name: string
  /** In the installation. */
  readonly path: string
}

/** Manifests, policies of operators, and what engines read; in a fixed order. */
export function toBackupPlaces({ manifests, operators, engine }: Config): readonly BackupPlace[] {
  return [
    { name: 'manifests', path: manifests },
    ...(operators.policies === undefined ? [] : [{ name: 'operators', path: operators.policies }]),
    ...engine.flatMap((each, index) => toEnginePlaces(each, `engine/${index}`)),
  ]
}

function toEnginePlaces(engine: EngineConfig, name: string): readonly BackupPlace[] {
  switch (engine.kind) {
    case 'cedar':
      return [{ name, path: engine.policies }]
    case 'opa-wasm':
      return [
        { name: `${name}/bundle`, path: engine.bundle },
        ...(engine.data === undefined ? [] : [{ name: `${name}/data`, path: engine.data }]),
      ]
    case 'opa':
    case 'topaz':
    case 'authzen':
    default:
      return engine.tls?.ca === undefined ? [] : [{ name: `${name}/ca`, path: engine.tls.ca }]
  }
}
