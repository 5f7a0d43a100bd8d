tpm2_getcap -l | sed 's/^- //' > kinds
test "$(wc -l < kinds)" -ge 13
for kind in algorithms commands pcrs properties-fixed properties-variable ecc-curves handles-transient handles-persistent \
	handles-permanent handles-pcr handles-nv-index handles-loaded-session handles-saved-session; do
	grep -qx "$kind" kinds
	tpm2_getcap $kind > cap.$kind
done
grep -q TPM2_PT_FAMILY_INDICATOR cap.properties-fixed
grep -q TPM2_PT_PERMANENT cap.properties-variable
grep -q TPM2_ECC_NIST_P256 cap.ecc-curves
grep -q TPM2_CC_Startup cap.commands
grep -q sha256 cap.pcrs
