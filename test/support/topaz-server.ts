/**
 * @module
 * A real Topaz on the loopback: authorizer and directory, over TLS with the certificates that it makes for itself.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngineHttp, type EngineHttp } from '../../src/engines/http-client.ts'
import { findPort, startServer, type EngineServer } from './engine-servers.ts'

export interface TopazServer extends EngineServer {
  /** PEM of the authority that signed its certificate. */
  readonly ca: string
  /** Adds users to the directory, each with an identity of the same name. */
  addUsers(users: Readonly<Record<string, Readonly<Record<string, string>>>>): Promise<void>
  /** Makes `subject` (a user) what `relation` says to an object, `desk/refunds` for example. */
  relate(object: string, relation: string, subject: string): Promise<void>
  /** What a query of Rego gives, over this resource context. */
  query(query: string, resource: object): Promise<unknown>
}

interface TopazOptions {
  /** Folders of Rego, put together into one bundle. */
  readonly policies: readonly string[]
  /** Asked of every caller; absent: nobody is asked. */
  readonly apiKey?: string
}

/** The model of the directory: users with identities, and desks with clerks. */
const MODEL = {
  model: { version: 3 },
  types: {
    identity: {},
    user: { relations: { identifier: 'identity' } },
    desk: { relations: { clerk: 'user' }, permissions: { can_refund: 'clerk' } },
  },
}

/** Throws when it ends or stays silent. */
export async function startTopaz(binary: string, options: TopazOptions): Promise<TopazServer> {
  const folder = mkdtempSync(join(tmpdir(), 'unbearer-topaz-'))
  mkdirSync(join(folder, 'certs'))
  // Of several bundles each would have to name its roots.
  for (const path of options.policies) cpSync(path, join(folder, 'bundle'), { recursive: true })
  const [authorizer, directory, gateway, health] = await Promise.all([findPort(), findPort(), findPort(), findPort()])
  const config = join(folder, 'config.json')
  const server = await startServer((port) => {
    const ports = { api: port, authorizer, directory, gateway, health }
    writeFileSync(config, JSON.stringify(toConfig(folder, ports, options.apiKey)))
    return { command: binary, args: ['run', '--config-file', config], scheme: 'https' }
  }).catch((cause: unknown) => {
    rmSync(folder, { recursive: true, force: true })
    throw cause
  })
  const ca = readFileSync(join(folder, 'certs', 'gateway-ca.crt'), 'utf8')
  const headers = options.apiKey === undefined ? {} : { authorization: `basic ${options.apiKey}` }
  const connect = (url: string): EngineHttp => createEngineHttp({ url, tls: { ca }, headers, timeoutMs: 20_000 })
  const [api, entries] = [connect(server.url), connect(`https://127.0.0.1:${gateway}`)]
  const put = async (path: string, body: object): Promise<void> => {
    const { status } = await entries.post(`/api/v3/directory/${path}`, JSON.parse(JSON.stringify(body)))
    if (status !== 200) throw new Error(`the directory refused ${path}: status ${status}`)
  }
  await put('manifest', MODEL)
  return {
    url: server.url,
    ca,
    async addUsers(users) {
      for (const [id, properties] of Object.entries(users)) {
        await put('object', { object: { type: 'user', id, properties } })
        await put('object', { object: { type: 'identity', id } })
        await put('relation', toRelation('user', id, 'identifier', 'identity', id))
      }
    },
    async relate(object, relation, subject) {
      const [type = '', id = ''] = object.split('/')
      await put('object', { object: { type, id } })
      await put('relation', toRelation(type, id, relation, 'user', subject))
    },
    async query(query, resource) {
      const identity = { type: 'IDENTITY_TYPE_NONE' }
      const asked = { identity_context: identity, query, resource_context: JSON.parse(JSON.stringify(resource)) }
      return (await api.post('/api/v2/authz/query', asked)).body
    },
    async stop() {
      api.close()
      entries.close()
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function toRelation(objectType: string, object: string, relation: string, subjectType: string, subject: string) {
  const names = { object_type: objectType, object_id: object, relation, subject_type: subjectType, subject_id: subject }
  return { relation: names }
}

type Ports = Readonly<Record<'api' | 'authorizer' | 'directory' | 'gateway' | 'health', number>>

function toConfig(folder: string, ports: Ports, apiKey: string | undefined): object {
  const certs = (name: string): object => ({
    tls_key_path: join(folder, 'certs', `${name}.key`),
    tls_cert_path: join(folder, 'certs', `${name}.crt`),
    tls_ca_cert_path: join(folder, 'certs', `${name}-ca.crt`),
  })
  const listen = (grpc: number, gateway: number): object => ({
    grpc: { listen_address: `127.0.0.1:${grpc}`, certs: certs('grpc') },
    gateway: { listen_address: `127.0.0.1:${gateway}`, certs: certs('gateway') },
  })
  const directory = listen(ports.directory, ports.gateway)
  const key = apiKey === undefined ? {} : { api_key: apiKey }
  return {
    version: 2,
    logging: { prod: true, log_level: 'info', grpc_log_level: 'error' },
    directory: { db_path: join(folder, 'directory.db'), request_timeout: '5s' },
    remote_directory: {
      address: `127.0.0.1:${ports.directory}`,
      ca_cert_path: join(folder, 'certs', 'grpc-ca.crt'),
      ...key,
    },
    jwt: { acceptable_time_skew_seconds: 5 },
    auth: {
      keys: apiKey === undefined ? [] : [apiKey],
      options: { default: { enable_api_key: apiKey !== undefined, enable_anonymous: apiKey === undefined } },
    },
    api: {
      health: { listen_address: `127.0.0.1:${ports.health}` },
      services: {
        model: directory,
        reader: directory,
        writer: directory,
        authorizer: { needs: ['reader'], ...listen(ports.authorizer, ports.api) },
      },
    },
    opa: {
      instance_id: '-',
      graceful_shutdown_period_seconds: 1,
      local_bundles: { paths: [join(folder, 'bundle')], skip_verification: true },
      config: {},
    },
  }
}
