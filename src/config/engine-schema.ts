/**
 * @module
 * The engines of `unbearer.yaml` as they are written: one strict shape for each kind. Part of `schema.ts`.
 */
import { z } from 'zod'
import type { JsonObject } from '../core/json.ts'
import { about, secret, text, type SecretShape } from './schema-parts.ts'

interface RemoteShape {
  readonly url: string
  readonly secrets: Readonly<Record<string, SecretShape>>
  readonly tls?:
    | {
        readonly ca?: string | undefined
        readonly cert?: SecretShape | undefined
        readonly key?: SecretShape | undefined
      }
    | undefined
  readonly input?: Readonly<Record<string, unknown>> | undefined
}

/** As it is used; a mapping is plain JSON. */
export interface CoazShape {
  readonly audience: string
  readonly strict: boolean
  readonly mappings: Readonly<Record<string, JsonObject>>
}

export type EngineShape =
  | { readonly kind: 'cedar'; readonly policies: string }
  | (RemoteShape & { readonly kind: 'opa'; readonly path: string })
  | {
      readonly kind: 'opa-wasm'
      readonly bundle: string
      readonly entrypoint: string
      readonly data?: string | undefined
      readonly input?: Readonly<Record<string, unknown>> | undefined
    }
  | (RemoteShape & {
      readonly kind: 'topaz'
      readonly path: string
      readonly decision: string
      readonly identity: 'sub' | 'manual' | 'none'
      readonly instance?: string | undefined
    })
  | (RemoteShape & { readonly kind: 'authzen'; readonly evaluations: boolean; readonly coaz?: CoazShape | undefined })

const kind = <T extends string>(name: T, description: string) =>
  z.literal(name).meta(about(description, 'Nothing by itself.'))

const input = z
  .record(z.string(), z.unknown())
  .optional()
  .meta(
    about(
      'How the document is arranged for these policies: each text that starts with `/` is replaced by what stands there in the engine document (`/` is all of it). Default: the document as it is.',
      'Policies are asked about something else: a fixed subject or effect here permits for everybody.',
    ),
  )

const remote = {
  url: text.meta(
    about(
      'Where the engine listens: `https`, or `http` on this machine.',
      'Answering in place of the engine: everything that a grant covers.',
    ),
  ),
  secrets: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9-]*$/, 'must be the name of a header'), secret)
    .default({})
    .meta(about('Headers sent with each call, such as `authorization`: name to place.', 'Asking the engine as we do.')),
  tls: z
    .strictObject({
      ca: text
        .optional()
        .meta(
          about(
            'A file of certificates, PEM, that replace those of the system.',
            'Answering in place of the engine, from the middle.',
          ),
        ),
      cert: secret
        .optional()
        .meta(about('Our certificate, PEM, for an engine that asks for one.', 'Nothing without its key.')),
      key: secret.optional().meta(about('The private key of `cert`, PEM.', 'Asking the engine as we do.')),
    })
    .optional()
    .meta(about('TLS to the engine. Default: what the system trusts, no certificate of ours.', 'See its keys.')),
  input,
}

export const engineShape: z.ZodType<EngineShape> = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      kind: kind('cedar', 'Cedar, in process.'),
      policies: text.meta(
        about('The folder with `*.cedar` and `schema.cedarschema`.', 'Writing policy: everything that a grant covers.'),
      ),
    }),
    z.strictObject({
      kind: kind('opa', 'A running OPA server, over its Data API.'),
      path: text.meta(
        about(
          'The rule below `data`, for example `agents/allow`: a boolean, or an object with `allow`.',
          'Another rule is asked: one that says yes to everything.',
        ),
      ),
      ...remote,
    }),
    z.strictObject({
      kind: kind('opa-wasm', 'An OPA bundle compiled to WebAssembly, in process. Needs `@open-policy-agent/opa-wasm`.'),
      bundle: text.meta(
        about('The bundle (`.tar.gz`), or the `policy.wasm` in it.', 'Writing policy: everything that a grant covers.'),
      ),
      entrypoint: text.meta(about('The rule, as named to `opa build -e`.', 'Another rule is asked.')),
      data: text
        .optional()
        .meta(about('A JSON file that stands under `data`. Default: that of the bundle.', 'What policies look up.')),
      input,
    }),
    z.strictObject({
      kind: kind('topaz', 'The authorizer of Topaz, over REST.'),
      path: text.meta(about('The package of the policy, dotted: `agents.tools`.', 'Another policy is asked.')),
      decision: text.default('allowed').meta(about('The rule in it, a boolean.', 'Another rule is asked.')),
      identity: z
        .enum(['sub', 'manual', 'none'], 'must be `sub`, `manual` or `none`')
        .default('sub')
        .meta(
          about(
            'Whether the directory looks up the principal (`sub`), the policy gets the id as it is (`manual`), or no identity (`none`).',
            'With `none` a policy cannot tell principals apart.',
          ),
        ),
      instance: text
        .optional()
        .meta(about('The policy instance, where Topaz serves several.', 'Another policy is asked.')),
      ...remote,
    }),
    z.strictObject({
      kind: kind('authzen', 'Any policy decision point that speaks the AuthZEN Authorization API 1.0.'),
      evaluations: z
        .boolean()
        .default(false)
        .meta(
          about(
            'Ask in one exchange what is permitted and what an approval would permit. For a decision point that is far away.',
            'Nothing.',
          ),
        ),
      coaz: z
        .strictObject({
          audience: text.meta(about('What stands for `token.aud`.', 'Policies are asked about another server.')),
          strict: z
            .boolean()
            .default(false)
            .meta(
              about(
                'Only the methods of the draft; else those that MCP 2026-07-28 added too.',
                'More methods that a policy may permit.',
              ),
            ),
          mappings: z
            .record(z.string(), z.record(z.string(), z.json()))
            .default({})
            .meta(
              about(
                'By `upstream/tool`, the value of `x-authzen-mapping` that somebody has read in the schema of the tool and copied.',
                'Policies are asked about something harmless instead of what is done.',
              ),
            ),
        })
        .optional()
        .meta(
          about(
            'Ask in the words of the COAZ-MCP mappings (Draft 1, July 2026). Needs `@marcbachmann/cel-js`. Default: the engine document.',
            'See its keys.',
          ),
        ),
      ...remote,
    }),
  ],
  'must be `cedar`, `opa`, `opa-wasm`, `topaz` or `authzen`',
)
