Bout0J«
À