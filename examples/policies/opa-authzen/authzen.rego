# For the AuthZEN plugin of OPA, `kind: authzen`: it asks for one boolean, over the document as it is. The rules themselves
# are those of ../opa/agents.rego, unchanged.
package authzen

default allow := false

allow if data.agents.decision.allow
