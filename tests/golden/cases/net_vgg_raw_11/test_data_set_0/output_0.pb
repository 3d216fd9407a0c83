
BoutputJ(]WÛ>x½9c¸'<ƒU©9~µÿ>¦ši=ßcä7šÑB;bx—:ª4y8