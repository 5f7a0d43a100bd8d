tpm2_shutdown
tpm2_startup -c
tpm2_shutdown -c
