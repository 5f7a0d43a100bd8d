# Every -c FILE of the other cases saved or loaded a context; here are the handles.
command tpm2_createprimary -Q -C o -G ecc256 -c p.ctx
command tpm2_getcap handles-transient | has 0x80000000
command tpm2_flushcontext 0x80000000
! command tpm2_flushcontext 0x80000000
tpm2_readpublic -Q -c p.ctx
test -z "$(tpm2_getcap handles-transient)"
tpm2_startauthsession -Q -S s.ctx
tpm2_getcap handles-saved-session | has 0x2
tpm2_flushcontext -s
! tpm2_policyrestart -Q -S s.ctx
printf x | dd of=p.ctx bs=1 seek=80 conv=notrunc status=none
! tpm2_readpublic -Q -c p.ctx
