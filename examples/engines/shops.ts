/** The policy servers of the two shops. In yours they run already; here they are started on free ports of this machine. */
import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect, createServer } from 'node:net'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Shop {
  /** The engines of `unbearer.yaml`, as a file. */
  readonly engine: string
  stop(): Promise<void>
}

const here = import.meta.dirname

/** On the path, or where `npm run engines` of the clone builds to. */
export function findServer(name: string): string | undefined {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  const built = process.env['UNBEARER_ENGINES_DIR'] ?? join(cache, 'unbearer', 'engines')
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), join(built, 'bin')]
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** The shop's OPA, with the shop's policy and data. */
export async function startOpaShop(binary: string, dir: string): Promise<Shop> {
  const port = await findPort()
  const args = ['run', '--server', '--addr', `127.0.0.1:${port}`, '--log-level', 'error', join(here, 'opa')]
  const stop = await start(binary, args, port, {})
  return { engine: fill('opa', dir, { 'http://127.0.0.1:8181': `http://127.0.0.1:${port}` }), stop }
}

/** The shop's Topaz, with the shop's policy, and its people in the directory. */
export async function startTopazShop(binary: string, dir: string): Promise<Shop> {
  const names = ['AUTHORIZER', 'AUTHORIZER_GRPC', 'DIRECTORY', 'DIRECTORY_GRPC', 'HEALTH']
  const ports = await Promise.all(names.map(async (name) => [`SHOP_${name}`, await findPort()] as const))
  const { SHOP_AUTHORIZER: authorizer = 0, SHOP_DIRECTORY: directory = 0 } = Object.fromEntries(ports)
  mkdirSync(join(dir, 'certs'), { recursive: true })
  mkdirSync(join(dir, 'bundle'))
  cpSync(join(here, 'topaz', 'shop.rego'), join(dir, 'bundle', 'shop.rego'))
  const env = { SHOP_DIR: dir, ...Object.fromEntries(ports.map(([name, port]) => [name, String(port)])) }
  const stop = await start(binary, ['run', '--config-file', join(here, 'topaz', 'config.yaml')], authorizer, env)
  const ca = join(dir, 'certs', 'gateway-ca.crt')
  await fillDirectory(directory, ca)
  const engine = fill('topaz', dir, {
    'https://127.0.0.1:8383': `https://127.0.0.1:${authorizer}`,
    '/path/to/gateway-ca.crt': ca,
  })
  return { engine, stop }
}

/** `engine.yaml` of a shop with the addresses of this run. */
function fill(shop: string, dir: string, values: Readonly<Record<string, string>>): string {
  const written = join(dir, 'engine.yaml')
  let text = readFileSync(join(here, shop, 'engine.yaml'), 'utf8')
  for (const [name, value] of Object.entries(values)) text = text.replace(name, value)
  writeFileSync(written, text)
  return written
}

async function fillDirectory(port: number, ca: string): Promise<void> {
  const { manifest, objects, relations } = JSON.parse(readFileSync(join(here, 'topaz', 'directory.json'), 'utf8'))
  const put = async (path: string, body: object): Promise<void> => post(port, ca, `/api/v3/directory/${path}`, body)
  await put('manifest', manifest)
  for (const object of objects) await put('object', { object })
  for (const relation of relations) await put('relation', { relation })
}

async function post(port: number, ca: string, path: string, body: object): Promise<void> {
  const options = { host: '127.0.0.1', port, path, method: 'POST', ca: readFileSync(ca) }
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const call = request(options, (answer) => answer.resume().on('end', () => resolve(answer.statusCode)))
    call.on('error', reject)
    call.end(JSON.stringify(body))
  })
  if (status !== 200) throw new Error(`the directory of Topaz refused ${path}: status ${status}`)
}

/** Waits until the port takes connections. */
async function start(command: string, args: string[], port: number, env: Record<string, string>) {
  const child = spawn(command, args, { stdio: 'ignore', env: { ...process.env, ...env } })
  for (let turn = 0; turn < 400 && child.exitCode === null; turn += 1) {
    if (await isOpen(port)) return async () => end(child)
    await sleep(50)
  }
  await end(child)
  throw new Error(`${command} did not start`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

async function findPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
