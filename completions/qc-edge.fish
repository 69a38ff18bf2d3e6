complete -c qc-edge -s h -l help -d 'Print help'
complete -c qc-edge -s V -l version -d 'Print version'
