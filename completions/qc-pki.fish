complete -c qc-pki -s h -l help -d 'Print help'
complete -c qc-pki -s V -l version -d 'Print version'
