# For `kind: topaz` with `path: agents.tools`: Topaz asks for one boolean and puts the document under `input.resource`.
# The rules themselves are those of ../opa/agents.rego, in the same bundle, unchanged.
package agents.tools

default allowed := false

allowed if data.agents.decision.allow with input as input.resource
