"""What a Linux account is made of: shadow line, PAM, the files of sshd and sudo, sessions of logind."""
