# The rules of examples/policies/README.md in Rego, for `kind: opa` and `kind: opa-wasm`. Asked as `agents/decision`.
# Undefined where nothing speaks, and that denies.
package agents

decision := {"allow": true, "policies": permits} if {
	count(forbids) == 0
	count(permits) > 0
}

decision := {"allow": false, "policies": forbids} if count(forbids) > 0

# What may be done at all.

permits contains "covered-by-grant" if {
	input.context.grant.covered
	input.resource.properties.status == "accepted"
}

permits contains "plain-read" if {
	plain_read
	input.resource.properties.status == "accepted"
	input.subject.properties.assurance in {"signed", "granted", "asserted"}
}

# What no approval lifts.

forbids contains "consequential-needs-proof" if {
	input.context.proof.grade == "none"
	not plain_read
}

forbids contains "consequential-needs-body-proof" if {
	input.context.proof.grade in {"signature", "hmac"}
	not input.context.proof.bodyBound
	not plain_read
}

forbids contains "asserted-reads-only" if {
	not input.subject.properties.assurance in {"signed", "granted"}
	not plain_read
}

# What a person has to approve: the same question with `approved` is a permit, so that Unbearer challenges.

forbids contains "approve-delete" if {
	"delete" in effects
	not approved
}

forbids contains "approve-unbounded-write" if {
	"write" in effects
	not input.action.properties.bounded
	not approved
}

forbids contains "approve-execute-admin" if {
	count(effects & {"execute", "admin"}) > 0
	not approved
}

forbids contains "approve-weak-proof" if {
	input.context.proof.grade in {"process", "cookie"}
	grave
	not approved
}

forbids contains "approve-unvouched-destination" if {
	count(effects & {"send", "spend"}) > 0
	not approved
	not vouched
}

effects := {effect | some effect in input.action.properties.effects}

plain_read if input.action.properties.effects == ["read"]

approved if input.context.approved

grave if count(effects & {"delete", "send", "spend", "execute", "admin"}) > 0

grave if {
	"write" in effects
	not input.action.properties.bounded
}

vouched if {
	count({role | some role in input.context.provenance.roles} & {"destination", "recipient"}) > 0
	count({role | some role in input.context.provenance.unvouched} & {"destination", "recipient", "amount"}) == 0
}
