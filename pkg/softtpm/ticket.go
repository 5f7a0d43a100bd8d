package softtpm

import (
	"crypto/hmac"
	"crypto/sha256"
)

// A ticket is the TPM's note to itself that it has done something with data,
// sealed with a secret of a hierarchy (Part 1, 11.4.6; Part 2, 10.7).

// ticket computes the digest of a ticket; nil for the null hierarchy, whose
// tickets prove nothing.
func (t *TPM) ticket(hier uint32, tag uint16, data ...[]byte) []byte {
	h := t.hierarchy(hier)
	if h == nil || hier == rhNull {
		return nil
	}
	m := hmac.New(sha256.New, h.proof[:])
	m.Write(be.AppendUint16(nil, tag))
	for _, d := range data {
		m.Write(d)
	}
	return m.Sum(nil)
}

// checkTicket tells whether a ticket is good. One of the null hierarchy is not.
func (t *TPM) checkTicket(given []byte, hier uint32, tag uint16, data ...[]byte) bool {
	want := t.ticket(hier, tag, data...)
	return want != nil && hmac.Equal(given, want)
}

func (c *call) putTicket(tag uint16, hier uint32, digest []byte) {
	if digest == nil {
		c.putNullTicket(tag)
		return
	}
	c.out = be.AppendUint16(c.out, tag)
	c.out = be.AppendUint32(c.out, hier)
	c.put2B(digest)
}

func (c *call) putNullTicket(tag uint16) {
	c.out = be.AppendUint16(c.out, tag)
	c.out = be.AppendUint32(c.out, rhNull)
	c.put2B(nil)
}
