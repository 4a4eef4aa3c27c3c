# The policy of the order desk, as its web application asks Topaz. Who works at the desk, and who refunds, stands in the
# directory. It knows nothing of agents, and nothing in it was changed for them.
package shop.desk

default allowed := false

allowed if {
	input.resource.do == "find"
	input.user.properties.department == "desk"
}

allowed if {
	input.resource.do == "refund"
	input.resource.amount <= 50
	ds.check({
		"object_type": "desk",
		"object_id": "orders",
		"relation": "can_refund",
		"subject_type": "user",
		"subject_id": input.user.id,
	})
}
