# The policy of the order desk, as its web application asks it: {"user": "alice", "do": "refund", "order": "7", "amount": 30}.
# It knows nothing of agents, and nothing in it was changed for them.
package shop.desk

default allow := false

allow if {
	input.do == "find"
	data.staff[input.user]
}

allow if {
	input.do == "refund"
	"refunds" in data.staff[input.user].duties
	input.amount <= 50
}
