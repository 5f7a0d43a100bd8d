package signinlog

// The flows of changes to what somebody signs in with. An operator made them, or the
// person.
const (
	SetMethods    Flow = "set_user_methods"
	RemoveMethod  Flow = "remove_user_method"
	IssuePass     Flow = "issue_access_pass"
	WriteHelloKey Flow = "put_hello_key"
	SetRisk       Flow = "set_user_risk"
	ResetPIN      Flow = "open_pin_reset"
)
